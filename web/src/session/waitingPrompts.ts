import { ApiError } from "../api/client";
import { findObject } from "../annotation/objects";
import { sameClick } from "../annotation/prompts";
import type { Keepsakes } from "../sync/keepsakes";
import type { PictureDocument } from "./documents";
import type { PromptEdit, PromptQueue } from "./promptQueue";

/** A prompt as it is kept. */
type KeptPrompt = Omit<PromptEdit, "document" | "made">;

export interface WaitingPromptsOptions {
  keepsakes: Keepsakes;
  queue: PromptQueue;
  /** Null where the browser has no locks; prompts of another tab that is still there are then given twice. */
  locks: Pick<LockManager, "request"> | null;
  signal: AbortSignal;
  /** Whether the decoder can answer for a picture. */
  isReady(document: PictureDocument): boolean;
  /** Read a picture's objects, whether it is shown or not. */
  load(picture: number): Promise<PictureDocument>;
  /** The number of the next thing that can be undone. */
  next(): number;
  /** Prompts of an earlier visit wait again. */
  onReturn(document: PictureDocument, object: string): void;
  onFault(error: unknown): void;
}

const BEGINNING = "prompts ";

/** The picture can take no clicks any more. */
class GivenUp extends Error {
  constructor(reason: string) {
    super(`Clicks that waited are given up: ${reason}`);
  }
}

/**
 * Clicks and boxes that wait for a picture to become ready outlive the page: they are kept in the browser, and given again
 * by the next page, or by another tab once this one is gone.
 */
export class WaitingPrompts {
  readonly #options: WaitingPromptsOptions;
  /** Of this page. A lock of this name is held as long as it lives. */
  readonly #owner: string = crypto.randomUUID();
  readonly #kept = new Map<number, string>();
  readonly #loading = new Set<number>();
  #project: string | null = null;

  constructor(options: WaitingPromptsOptions) {
    this.#options = options;
  }

  /** Whether a picture's objects are waited for here. */
  needs(picture: number): boolean {
    return this.#loading.has(picture);
  }

  /** Begin to keep what waits, and take over what pages that are gone have left. */
  async start(project: string): Promise<void> {
    const { keepsakes, locks, signal } = this.#options;
    this.#project = project;
    const isOver = new Promise((resolve) => {
      signal.addEventListener("abort", resolve);
    });
    void locks?.request(lockOf(this.#owner), {}, () => isOver).catch(() => undefined);
    const left = await keepsakes.list(project, BEGINNING);
    for (const owner of new Set(left.map(({ name }) => name.split(" ")[1] ?? ""))) {
      const takeOver = () => this.#takeOver(project, owner);
      void (locks ? locks.request(lockOf(owner), { signal }, takeOver) : takeOver()).catch(() => undefined);
    }
    this.update();
  }

  /** What waits may be other prompts than before. */
  update(): void {
    const { keepsakes, queue, isReady, signal } = this.#options;
    // What is given up because the page goes is not given up.
    if (this.#project === null || signal.aborted) return;
    const byPicture = new Map<number, KeptPrompt[]>();
    for (const edit of queue.edits) {
      const { document, object, question, isFirst, content, isLast } = edit;
      // What the decoder is about to answer is not worth a writing, unless it was written before.
      if (isReady(document) && !this.#kept.has(document.id)) continue;
      const prompts = byPicture.get(document.id) ?? [];
      byPicture.set(document.id, [...prompts, { object, question, isFirst, content, isLast }]);
    }
    for (const picture of new Set([...this.#kept.keys(), ...byPicture.keys()])) {
      const prompts = byPicture.get(picture);
      const text = prompts ? JSON.stringify(prompts) : "";
      if (text === (this.#kept.get(picture) ?? "")) continue;
      if (prompts) this.#kept.set(picture, text);
      else this.#kept.delete(picture);
      void keepsakes.put(this.#project, nameOf(this.#owner, picture), prompts ?? null);
    }
  }

  async #takeOver(project: string, owner: string): Promise<void> {
    const { keepsakes, onFault } = this.#options;
    for (const { name, content } of await keepsakes.list(project, `${BEGINNING}${owner} `)) {
      const picture = Number(name.split(" ")[2]);
      try {
        await this.#give(picture, content as KeptPrompt[]);
      } catch (error) {
        if (this.#options.signal.aborted) return;
        onFault(error);
        // They are tried again at the next visit, unless there is nothing to try.
        if (!(error instanceof GivenUp || (error instanceof ApiError && error.status === 404))) continue;
      }
      await keepsakes.put(project, name, null);
    }
  }

  async #give(picture: number, prompts: readonly KeptPrompt[]): Promise<void> {
    const { queue, load, next, onReturn } = this.#options;
    this.#loading.add(picture);
    try {
      const document = await load(picture);
      if (document.picture.error !== null) throw new GivenUp(document.picture.error);
      for (const prompt of prompts) {
        if (!wasAnswered(document, prompt)) queue.add({ ...prompt, document, made: next() });
      }
      const last = prompts.at(-1);
      if (last && !last.isLast && queue.has(last.object)) onReturn(document, last.object);
    } finally {
      this.#loading.delete(picture);
    }
  }
}

/** The page may have gone after an answer was saved and before that was noted here. */
function wasAnswered(document: PictureDocument, { object, question, isFirst }: KeptPrompt): boolean {
  const known = findObject(document.objects, object);
  if (isFirst) return known !== null;
  if (question.kind !== "click") return false;
  return known?.prompts?.clicks.some((click) => sameClick(click, question.click)) ?? false;
}

function nameOf(owner: string, picture: number): string {
  return `${BEGINNING}${owner} ${String(picture)}`;
}

function lockOf(owner: string): string {
  return `anymask-studio-page-${owner}`;
}
