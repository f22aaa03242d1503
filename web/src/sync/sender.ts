import { ApiError, NetworkError, type Api } from "../api/client";
import type { Change, ChangeResult } from "../api/types";
import type { Outbox, Revised, Waiting } from "./outbox";
import { judge, withoutVersions, type Refused, type Verdict } from "./resolution";
import type { Tabs } from "./tabs";

/** "offline" where the server cannot be reached, "failed" where it answers but does not take changes; both try again. */
export type Saving = "saved" | "saving" | "offline" | "failed";

export interface Settled {
  /** Objects of the picture are not what this page knows. */
  isOutdated: boolean;
  /** The object that keeps the page's mask beside one that was changed elsewhere, by the latter's id. */
  copies: ReadonlyMap<string, string>;
  /** Changes were set aside. */
  hasAside: boolean;
}

export interface SenderOptions {
  api: Pick<Api, "sendChanges">;
  outbox: Outbox;
  /** The project's id. */
  project: string;
  /** How many colours the palette has. */
  colors: number;
  tabs: Tabs;
  /** Keeps tabs from sending the same changes at a time; null where the browser has no locks. */
  locks: Pick<LockManager, "request"> | null;
  /** Milliseconds to wait after the first, second, … failure; the last is for all later ones. */
  retryDelays: readonly number[];
  onReport(saving: Saving, unsaved: number): void;
  /** A picture's changes were answered. Called before `onReport` counts them as saved. */
  onSettled(picture: number, settled: Settled): void;
  onNotice(text: string): void;
}

const MOST_CHANGES = 100;
const MOST_CHARACTERS = 4_000_000;
const REFUSALS = [400, 404, 413, 422];

/** Sends what is in the outbox, in order, until the server has it. A change that is sent twice is stored once. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #end = new AbortController();
  #saving: Saving = "saved";
  #unsaved = 0;
  #added = 0;
  /** Changes that were made here and not in another tab, or before the page was loaded. */
  readonly #own = new Set<string>();
  /** What was refused of objects as the page still shows them, by their ids. */
  readonly #refused = new Map<string, Refused & { picture: number }>();
  #hasNews = true;
  #wakeUp: (() => void) | null = null;
  #isIdle = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    options.tabs.onChange(({ project }) => {
      if (project === options.project) this.#nudge();
    });
    void this.#run();
  }

  /** Take changes of a picture over; they are counted as unsaved at once. */
  add(picture: number, changes: readonly Change[]): void {
    const { outbox, project } = this.#options;
    for (const change of changes) this.#own.add(change.id);
    this.#added += changes.length;
    this.#report(this.#saving === "saved" ? "saving" : this.#saving, this.#unsaved + changes.length);
    void outbox.add(project, picture, changes, (change) => this.#revised(change)).then(() => this.#nudge());
  }

  /** The page shows a picture's objects as they are on the server and in the outbox, and nothing that was refused. */
  caughtUp(picture: number): void {
    for (const [object, refused] of this.#refused) if (refused.picture === picture) this.#refused.delete(object);
  }

  /** Try now, without waiting for the next attempt, such as when the server was found again. */
  retry(): void {
    this.#hasNews = true;
    this.#wakeUp?.();
  }

  /** Stop sending; what waits stays in the outbox. */
  close(): void {
    this.#end.abort();
    this.#wakeUp?.();
  }

  get #isClosed(): boolean {
    return this.#end.signal.aborted;
  }

  #nudge(): void {
    this.#hasNews = true;
    if (this.#isIdle) this.#wakeUp?.();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#isClosed) {
      this.#hasNews = false;
      try {
        const hasSent = await this.#alone(() => this.#round());
        failures = 0;
        if (!hasSent && !this.#hasNews) await this.#sleep(null);
      } catch (error) {
        if (this.#isClosed) return;
        const isOffline = error instanceof NetworkError;
        if (failures === 0 && !isOffline) this.#options.onNotice(`Changes wait here to be saved: ${reason(error)}`);
        this.#report(isOffline ? "offline" : "failed", this.#unsaved);
        const delays = this.#options.retryDelays;
        await this.#sleep(delays[Math.min(failures++, delays.length - 1)] ?? 1000);
      }
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const { locks, project } = this.#options;
    if (!locks) return work();
    const options = { signal: this.#end.signal };
    return locks.request(`anymask-studio-${project}`, options, work) as Promise<T>;
  }

  /** Send the oldest changes; false where there are none. */
  async #round(): Promise<boolean> {
    const { outbox, project, tabs, colors } = this.#options;
    const batch = withinSize(await outbox.head(project, MOST_CHANGES));
    const picture = batch[0]?.picture;
    if (picture === undefined) {
      const unsaved = await this.#count();
      this.#report(unsaved === 0 ? "saved" : "saving", unsaved);
      return false;
    }
    if (this.#saving === "saved") this.#report("saving", Math.max(this.#unsaved, batch.length));
    const results = await this.#send(picture, batch);
    let verdict: Verdict | undefined;
    await outbox.resolve(project, picture, (waiting) => (verdict = judge(waiting, results, colors)));
    if (!verdict || verdict.done.length === 0) throw new Error("The server's answer does not fit what was sent.");
    const { elsewhere, copies, done, aside } = verdict;
    this.#remember(picture, verdict);
    const isForeign = done.some(({ change }) => !this.#own.has(change.id));
    for (const { change } of done) this.#own.delete(change.id);
    this.#options.onSettled(picture, {
      isOutdated: isForeign || elsewhere.length > 0,
      copies,
      hasAside: aside.length > 0,
    });
    for (const notice of verdict.notices) this.#options.onNotice(notice);
    tabs.tell({ project, picture });
    this.#report("saving", await this.#count());
    return true;
  }

  #remember(picture: number, { refused }: Verdict): void {
    for (const [object, { group, changes }] of refused) {
      this.#refused.set(object, { picture, group, changes: changes + (this.#refused.get(object)?.changes ?? 0) });
    }
  }

  /** A change made while the page still showed what was refused holds that, and is one matter with it. */
  #revised(change: Change): Revised {
    const refused = this.#refused.get(change.state.id);
    return refused ? { change: withoutVersions(change, refused.changes), group: refused.group } : { change };
  }

  /** How many changes wait, those included that came while they were counted. */
  async #count(): Promise<number> {
    const before = this.#added;
    const counted = await this.#options.outbox.count(this.#options.project);
    return counted + this.#added - before;
  }

  async #send(picture: number, batch: readonly Waiting[]): Promise<ChangeResult[]> {
    const { api, project } = this.#options;
    const changes = batch.map((waiting) => waiting.change);
    try {
      return await api.sendChanges(project, picture, changes, this.#end.signal);
    } catch (error) {
      const [first] = changes;
      if (!first || !(error instanceof ApiError && REFUSALS.includes(error.status))) throw error;
      if (changes.length === 1) return [{ change: first.id, outcome: "refused", current: null, reason: error.detail }];
      // One that cannot be taken must not hold up the others.
      const half = batch.length >> 1;
      const results = await this.#send(picture, batch.slice(0, half));
      return [...results, ...(await this.#send(picture, batch.slice(half)))];
    }
  }

  #report(saving: Saving, unsaved: number): void {
    this.#saving = saving;
    this.#unsaved = unsaved;
    if (!this.#isClosed) this.#options.onReport(saving, unsaved);
  }

  /** Wait for some milliseconds, or where they are null until there is something new. */
  #sleep(milliseconds: number | null): Promise<void> {
    return new Promise((resolve) => {
      this.#isIdle = milliseconds === null;
      const timer = milliseconds === null ? undefined : setTimeout(() => this.#wakeUp?.(), milliseconds);
      this.#wakeUp = () => {
        clearTimeout(timer);
        this.#wakeUp = null;
        this.#isIdle = false;
        resolve();
      };
    });
  }
}

function withinSize(batch: readonly Waiting[]): Waiting[] {
  let characters = 0;
  return batch.filter(({ change: { state } }, i) => {
    characters += state.counts.length + (state.prompts?.base?.length ?? 0);
    return i === 0 || characters <= MOST_CHARACTERS;
  });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
