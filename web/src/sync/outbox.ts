import type { Change } from "../api/types";
import { BrowserDatabase } from "./browserDatabase";

/** A change that the server has not confirmed. */
export interface Waiting {
  /** Rises in the order in which changes were made; negative for one that is in memory only. */
  key: number;
  /** The project's id. */
  project: string;
  picture: number;
  change: Change;
  /** The group of refused changes that this one was made upon, so that it holds what they did. */
  group?: string;
}

/** A change that the server did not take, kept until the person decides about it. */
export interface SetAside {
  project: string;
  picture: number;
  change: Change;
  reason: string;
  /** The same for changes of one object of which each holds what those before it did. */
  group?: string;
}

/** One that is kept. */
export interface KeptAside extends SetAside {
  /** Rises in the order in which they were set aside; negative for one that is in memory only. */
  key: number;
}

/** What is to become of a picture's waiting changes; all of it, or nothing, happens. */
export interface Resolution {
  /** Those that need no sending any more. */
  done: readonly Waiting[];
  /** Those that are sent with another state, in their old place. */
  rewritten: readonly Waiting[];
  /** New ones, sent last. */
  added: readonly Change[];
  aside: readonly SetAside[];
}

/** A change as it is to wait. */
export type Revised = Pick<Waiting, "change" | "group">;
export type Revise = (change: Change) => Revised;

/**
 * The changes that wait to be sent, in the browser's database, so that they outlive the page and the browser. All tabs see
 * the same ones. Where the database cannot be written to they wait in memory, and `atRisk` says so.
 */
export interface Outbox {
  /**
   * Resolves when the changes are as safe as they can be here; never rejects.
   *
   * @param revise - what is written for a change, asked when all that was decided before has been written.
   */
  add(project: string, picture: number, changes: readonly Change[], revise?: Revise): Promise<void>;
  /** The oldest change of a project and those after it that concern the same picture, up to `limit`. */
  head(project: string, limit: number): Promise<Waiting[]>;
  /** All of a picture's, in their order. */
  of(project: string, picture: number): Promise<Waiting[]>;
  count(project: string): Promise<number>;
  /**
   * Decide about a picture's changes, seeing all of them; tabs do not interfere. What is being added here is written once
   * those who wait for the decision have gone on.
   */
  resolve(project: string, picture: number, decide: (waiting: Waiting[]) => Resolution): Promise<void>;
  setAside(project: string): Promise<KeptAside[]>;
  /** Forget changes that were set aside, by their keys. */
  discard(keys: readonly number[]): Promise<void>;
  /** How many changes would be lost if the page went now. */
  readonly atRisk: number;
  close(): void;
}

/** Open the browser's database. It is opened when it is first needed. */
export function openOutbox(name = "anymask-studio"): Outbox {
  return new BrowserOutbox(name);
}

class BrowserOutbox implements Outbox {
  readonly #database: BrowserDatabase;
  /** Each write waits for the one before, as the order of changes is that of their keys. */
  #writing: Promise<void> = Promise.resolve();
  #beingWritten = 0;
  #inMemory: Waiting[] = [];
  #asideInMemory: KeptAside[] = [];
  #nextInMemory = -Number.MAX_SAFE_INTEGER;

  constructor(name: string) {
    this.#database = new BrowserDatabase(name);
  }

  get atRisk(): number {
    return this.#beingWritten + this.#inMemory.length + this.#asideInMemory.length;
  }

  add(project: string, picture: number, changes: readonly Change[], revise: Revise = asItIs): Promise<void> {
    this.#beingWritten += changes.length;
    return this.#afterWriting(async () => {
      const revised = changes.map(revise);
      try {
        await this.#store(project, picture, revised);
      } catch {
        this.#keep(project, picture, revised);
      } finally {
        this.#beingWritten -= changes.length;
      }
    });
  }

  async head(project: string, limit: number): Promise<Waiting[]> {
    await this.#writing;
    const stored = await this.#database.read(async (database) => {
      const transaction = database.transaction("changes");
      const first = await transaction.store.index("project").openCursor(project);
      if (!first) return [];
      return transaction.store.index("picture").getAll([project, first.value.picture], limit);
    });
    if (stored && stored.length > 0) return stored as Waiting[];
    const memory = this.#inMemory.filter((waiting) => waiting.project === project);
    return memory.filter((waiting) => waiting.picture === memory[0]?.picture).slice(0, limit);
  }

  async of(project: string, picture: number): Promise<Waiting[]> {
    await this.#writing;
    return [...(await this.#storedOf(project, picture)), ...this.#inMemoryOf(project, picture)];
  }

  async count(project: string): Promise<number> {
    await this.#writing;
    const stored = await this.#database.read((database) => database.countFromIndex("changes", "project", project));
    return (stored ?? 0) + this.#inMemory.filter((waiting) => waiting.project === project).length;
  }

  resolve(project: string, picture: number, decide: (waiting: Waiting[]) => Resolution): Promise<void> {
    return this.#afterWriting(async () => {
      const memory = this.#inMemoryOf(project, picture);
      if (memory.length > 0 && (await this.#storedOf(project, picture)).length === 0) {
        this.#resolveInMemory(project, picture, decide(memory));
        return;
      }
      const database = await this.#database.open();
      const transaction = database.transaction(["changes", "aside"], "readwrite", { durability: "strict" });
      const changes = transaction.objectStore("changes");
      const resolution = decide((await changes.index("picture").getAll([project, picture])) as Waiting[]);
      const aside = transaction.objectStore("aside");
      await Promise.all([
        ...resolution.done.map((waiting) => changes.delete(waiting.key)),
        ...resolution.rewritten.map((waiting) => changes.put(waiting)),
        ...resolution.added.map((change) => changes.add({ project, picture, change })),
        ...resolution.aside.map((refused) => aside.add(refused)),
        transaction.done,
      ]);
    });
  }

  async setAside(project: string): Promise<KeptAside[]> {
    await this.#writing;
    const stored = await this.#database.read(async (database) => {
      const { store } = database.transaction("aside");
      const index = store.index("project");
      const [keys, values] = await Promise.all([index.getAllKeys(project), index.getAll(project)]);
      return values.map((value, i) => ({ ...value, key: keys[i] ?? 0 }));
    });
    return [...(stored ?? []), ...this.#asideInMemory.filter((refused) => refused.project === project)];
  }

  discard(keys: readonly number[]): Promise<void> {
    return this.#afterWriting(async () => {
      this.#asideInMemory = this.#asideInMemory.filter((refused) => !keys.includes(refused.key));
      const stored = keys.filter((key) => key > 0);
      if (stored.length === 0) return;
      const transaction = (await this.#database.open()).transaction("aside", "readwrite", { durability: "strict" });
      await Promise.all([...stored.map((key) => transaction.store.delete(key)), transaction.done]);
    });
  }

  close(): void {
    this.#database.close();
  }

  #afterWriting(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #store(project: string, picture: number, changes: readonly Revised[]): Promise<void> {
    // What came after a change that is in memory must not be sent before it.
    if (this.#inMemory.length > 0) throw new Error("Earlier changes are in memory.");
    const database = await this.#database.open();
    const transaction = database.transaction("changes", "readwrite", { durability: "strict" });
    await Promise.all([
      ...changes.map((change) => transaction.store.add({ project, picture, ...change })),
      transaction.done,
    ]);
  }

  #keep(project: string, picture: number, changes: readonly Revised[]): void {
    this.#inMemory = [
      ...this.#inMemory,
      ...changes.map((change) => ({ key: this.#nextInMemory++, project, picture, ...change })),
    ];
  }

  #inMemoryOf(project: string, picture: number): Waiting[] {
    return this.#inMemory.filter((waiting) => waiting.project === project && waiting.picture === picture);
  }

  #resolveInMemory(project: string, picture: number, resolution: Resolution): void {
    const done = new Set(resolution.done.map((waiting) => waiting.key));
    const rewritten = new Map(resolution.rewritten.map((waiting) => [waiting.key, waiting]));
    this.#inMemory = this.#inMemory
      .filter((waiting) => !done.has(waiting.key))
      .map((waiting) => rewritten.get(waiting.key) ?? waiting);
    this.#keep(project, picture, resolution.added.map(asItIs));
    this.#asideInMemory.push(...resolution.aside.map((refused) => ({ ...refused, key: this.#nextInMemory++ })));
  }

  async #storedOf(project: string, picture: number): Promise<Waiting[]> {
    const stored = await this.#database.read((database) =>
      database.getAllFromIndex("changes", "picture", [project, picture]),
    );
    return (stored ?? []) as Waiting[];
  }
}

function asItIs(change: Change): Revised {
  return { change };
}
