import type { Box, Click, ObjectState, Prompts } from "../api/types";
import { findPresent, nextOrder, presentObjects, type Content } from "../annotation/objects";
import {
  asksNothing,
  boxPrompts,
  loneClick,
  promptsToRefine,
  sameClick,
  withClick,
  withoutClick,
} from "../annotation/prompts";
import type { Answer, Candidate, Decoder } from "../decoder/decoder";
import { nextColor } from "../geometry/colors";
import type { PictureDocument } from "./documents";
import type { Recorder } from "./recorder";

export type Question =
  { kind: "click"; click: Click } | { kind: "remove-click"; click: Click } | { kind: "box"; box: Box };

/** What is said of an object beside its mask. */
export type Description = Partial<Pick<Content, "label" | "color" | "visible">>;

/** Something a person asked of an object, which the decoder has not answered. */
export interface PromptEdit {
  document: PictureDocument;
  object: string;
  question: Question;
  /** Whether the object begins with it. */
  isFirst: boolean;
  /** What else was said of the object meanwhile. */
  content: Description;
  /** Whether the person went on from the object after it. */
  isLast: boolean;
  /** When it was asked; see `Recorder.next`. */
  made: number;
}

export interface PromptQueueOptions {
  decoder: Decoder;
  recorder: Recorder;
  /** Whether the decoder can answer for a picture. */
  isReady(document: PictureDocument): boolean;
  /** Fingerprint of the model that answers. */
  model(): string;
  /** How many colours the palette has. */
  colors(): number;
  /** What waits, or is being answered, is not what it was. */
  onChange(): void;
  onAnswer(document: PictureDocument, object: ObjectState, answer: Answer): void;
  /** Nothing came of an edit; its object is as it was. */
  onFailure(edit: PromptEdit, error: unknown): void;
}

/**
 * Questions to the decoder, answered one after the other in the order in which they were asked, whatever the person does
 * meanwhile; those for pictures that are not ready wait until they are. Each answer is one step of the history.
 */
export class PromptQueue {
  readonly #options: PromptQueueOptions;
  #edits: readonly PromptEdit[] = [];
  /** The one that is being answered, which is also among the edits unless it was cancelled. */
  #running: PromptEdit | "readings" | null = null;
  #readings: { document: PictureDocument; object: string } | null = null;

  constructor(options: PromptQueueOptions) {
    this.#options = options;
  }

  /** All that waits, in the order in which it was asked. */
  get edits(): readonly PromptEdit[] {
    return this.#edits;
  }

  get isDecoding(): boolean {
    return this.#running !== null;
  }

  /** Numbers of the pictures that must be made ready for what waits. */
  get pictures(): number[] {
    return [...new Set(this.#edits.map((edit) => edit.document.id))];
  }

  of(document: PictureDocument): readonly PromptEdit[] {
    return this.#edits.filter((edit) => edit.document === document);
  }

  has(object: string): boolean {
    return this.#edits.some((edit) => edit.object === object);
  }

  add(edit: PromptEdit): void {
    this.#edits = [...this.#edits, edit];
    this.#options.onChange();
    this.advance();
  }

  /** Give edits up; answers that come later are not used. */
  cancel(edits: readonly PromptEdit[]): void {
    if (edits.length === 0) return;
    this.#edits = this.#edits.filter((edit) => !edits.includes(edit));
    this.#options.onChange();
  }

  /** Say more of an object whose last question is not answered; false if there is none. */
  describe(object: string, content: Description): boolean {
    const last = this.#edits.findLast((edit) => edit.object === object);
    if (!last) return false;
    last.content = { ...last.content, ...content };
    this.#options.onChange();
    return true;
  }

  /** Have an object finished by the answer to its last question; false if that has come. */
  finish(object: string): boolean {
    const last = this.#edits.findLast((edit) => edit.object === object);
    if (!last) return false;
    last.isLast = true;
    this.#options.onChange();
    return true;
  }

  /** Objects that are to get one of these labels get its new name. */
  renameLabels(renamed: ReadonlyMap<string, string>): void {
    for (const edit of this.#edits) {
      const label = renamed.get(edit.content.label ?? "");
      if (label !== undefined) edit.content = { ...edit.content, label };
    }
    this.#options.onChange();
  }

  /** Ask for the readings of an object's lone click, when there is nothing else to do. */
  askReadings(document: PictureDocument, object: string): void {
    this.#readings = { document, object };
    this.advance();
  }

  /** Go on, such as when a picture has become ready. */
  advance(): void {
    if (this.#running !== null) return;
    const edit = this.#edits.find((waiting) => this.#options.isReady(waiting.document));
    if (edit) {
      void this.#run(edit, () => this.#answer(edit));
    } else if (this.#readings && this.#options.isReady(this.#readings.document)) {
      const { document, object } = this.#readings;
      this.#readings = null;
      void this.#run("readings", () => this.#answerReadings(document, object));
    }
  }

  async #run(running: PromptEdit | "readings", work: () => Promise<void>): Promise<void> {
    this.#running = running;
    this.#options.onChange();
    try {
      await work();
    } catch (error) {
      if (running !== "readings" && this.#edits.includes(running)) {
        this.cancel([running]);
        this.#options.onFailure(running, error);
      }
    }
    if (running !== "readings") this.cancel([running]);
    this.#running = null;
    this.#options.onChange();
    this.advance();
  }

  async #answer(edit: PromptEdit): Promise<void> {
    const { decoder, recorder, model, onAnswer } = this.#options;
    const { document, object, made } = edit;
    const before = findPresent(document.objects, object);
    if (before === null && !edit.isFirst) return;
    const prompts = ask(before, edit.question, model());
    if (prompts === null) return;
    const action = edit.question.kind;
    if (asksNothing(prompts)) {
      const rest: Partial<Content> =
        prompts.base === null ? { status: "deleted" } : { counts: prompts.base, prompts: null, score: null };
      recorder.change(document, action, [{ object, ...rest, ...said(edit) }], made);
      return;
    }
    const answer = await decoder.answer(document.id, prompts);
    if (!this.#edits.includes(edit)) return;
    const now = findPresent(document.objects, object);
    if (now === null && !edit.isFirst) return;
    const candidate = chosen(answer);
    const mask = {
      counts: candidate.counts,
      score: candidate.score,
      prompts,
      source: "assisted",
      model: model(),
    } satisfies Partial<Content>;
    const rest = now === null ? this.#blank(document) : {};
    recorder.change(document, action, [{ object, ...rest, ...mask, ...said(edit) }], made);
    const after = findPresent(document.objects, object);
    if (after && answer) onAnswer(document, after, answer);
  }

  async #answerReadings(document: PictureDocument, object: string): Promise<void> {
    const asked = findPresent(document.objects, object);
    if (!asked?.prompts || !loneClick(asked.prompts)) return;
    const answer = await this.#options.decoder.answer(document.id, asked.prompts);
    const now = findPresent(document.objects, object);
    if (answer && now?.prompts === asked.prompts) this.#options.onAnswer(document, now, answer);
  }

  /** What a new object is before anything is said of it. */
  #blank(document: PictureDocument): Omit<Content, "counts" | "prompts" | "score" | "source" | "model"> {
    const present = presentObjects(document.objects);
    // Objects that have not come yet are known by their number only.
    const unknown = Math.max(0, document.picture.objects - present.length);
    const colors = [...present.map((object) => object.color), ...Array.from({ length: unknown }, (_, i) => i)];
    return {
      status: "present",
      label: null,
      color: nextColor(colors, this.#options.colors()),
      visible: true,
      order: nextOrder(document.objects) + unknown,
      finished: false,
    };
  }
}

function said({ content, isLast }: PromptEdit): Partial<Content> {
  return isLast ? { ...content, finished: true } : content;
}

/** The prompts with a question added; null where it asks nothing new. */
function ask(object: ObjectState | null, question: Question, model: string): Prompts | null {
  switch (question.kind) {
    case "click":
      return withClick(promptsToRefine(object, model), question.click);
    case "remove-click": {
      const index = object?.prompts?.clicks.findIndex((click) => sameClick(click, question.click)) ?? -1;
      return object?.prompts && index >= 0 ? withoutClick(object.prompts, index) : null;
    }
    case "box":
      return boxPrompts(question.box);
  }
}

/** @throws Error where there is no mask. */
function chosen(answer: Answer | null): Candidate {
  const candidate = answer?.candidates[answer.chosen];
  if (!candidate) throw new Error("The decoder gave no answer. Please try again.");
  if (candidate.area === 0) throw new Error("The model finds nothing there. Try another point.");
  return candidate;
}
