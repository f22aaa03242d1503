import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { Change } from "../api/types";

/** A change that the server has not confirmed. */
export interface Waiting {
  /** Rises in the order in which changes were made; negative for one that is in memory only. */
  key: number;
  /** The project's id. */
  project: string;
  picture: number;
  change: Change;
}

/** A change that the server will never take, kept for whoever wants to look into it. */
export interface SetAside {
  project: string;
  picture: number;
  change: Change;
  reason: string;
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

/**
 * The changes that wait to be sent, in the browser's database, so that they outlive the page and the browser. All tabs see
 * the same ones. Where the database cannot be written to they wait in memory, and `atRisk` says so.
 */
export interface Outbox {
  /** Resolves when the changes are as safe as they can be here; never rejects. */
  add(project: string, picture: number, changes: readonly Change[]): Promise<void>;
  /** The oldest change of a project and those after it that concern the same picture, up to `limit`. */
  head(project: string, limit: number): Promise<Waiting[]>;
  /** All of a picture's, in their order. */
  of(project: string, picture: number): Promise<Waiting[]>;
  count(project: string): Promise<number>;
  /** Decide about a picture's changes, seeing all of them; tabs do not interfere. */
  resolve(project: string, picture: number, decide: (waiting: Waiting[]) => Resolution): Promise<void>;
  setAside(project: string): Promise<SetAside[]>;
  /** How many changes would be lost if the page went now. */
  readonly atRisk: number;
  close(): void;
}

interface Schema extends DBSchema {
  changes: {
    key: number;
    value: Omit<Waiting, "key"> & { key?: number };
    indexes: { project: string; picture: [string, number] };
  };
  aside: { key: number; value: SetAside; indexes: { project: string } };
}

/** Open the browser's database. It is opened when it is first needed. */
export function openOutbox(name = "anymask-studio"): Outbox {
  return new BrowserOutbox(name);
}

class BrowserOutbox implements Outbox {
  readonly #name: string;
  #database: Promise<IDBPDatabase<Schema>> | null = null;
  /** Each write waits for the one before, as the order of changes is that of their keys. */
  #writing: Promise<void> = Promise.resolve();
  #beingWritten = 0;
  #inMemory: Waiting[] = [];
  #asideInMemory: SetAside[] = [];
  #nextInMemory = -Number.MAX_SAFE_INTEGER;

  constructor(name: string) {
    this.#name = name;
  }

  get atRisk(): number {
    return this.#beingWritten + this.#inMemory.length;
  }

  add(project: string, picture: number, changes: readonly Change[]): Promise<void> {
    this.#beingWritten += changes.length;
    return this.#afterWriting(async () => {
      try {
        await this.#store(project, picture, changes);
      } catch {
        this.#keep(project, picture, changes);
      } finally {
        this.#beingWritten -= changes.length;
      }
    });
  }

  async head(project: string, limit: number): Promise<Waiting[]> {
    await this.#writing;
    const stored = await this.#read(async (database) => {
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
    const stored = await this.#read((database) => database.countFromIndex("changes", "project", project));
    return (stored ?? 0) + this.#inMemory.filter((waiting) => waiting.project === project).length;
  }

  resolve(project: string, picture: number, decide: (waiting: Waiting[]) => Resolution): Promise<void> {
    return this.#afterWriting(async () => {
      const memory = this.#inMemoryOf(project, picture);
      if (memory.length > 0 && (await this.#storedOf(project, picture)).length === 0) {
        this.#resolveInMemory(project, picture, decide(memory));
        return;
      }
      const database = await this.#open();
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

  async setAside(project: string): Promise<SetAside[]> {
    await this.#writing;
    const stored = await this.#read((database) => database.getAllFromIndex("aside", "project", project));
    return [...(stored ?? []), ...this.#asideInMemory.filter((refused) => refused.project === project)];
  }

  close(): void {
    void this.#database?.then(
      (database) => database.close(),
      () => undefined,
    );
    this.#database = null;
  }

  #afterWriting(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write);
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #store(project: string, picture: number, changes: readonly Change[]): Promise<void> {
    // What came after a change that is in memory must not be sent before it.
    if (this.#inMemory.length > 0) throw new Error("Earlier changes are in memory.");
    const database = await this.#open();
    const transaction = database.transaction("changes", "readwrite", { durability: "strict" });
    await Promise.all([
      ...changes.map((change) => transaction.store.add({ project, picture, change })),
      transaction.done,
    ]);
  }

  #keep(project: string, picture: number, changes: readonly Change[]): void {
    this.#inMemory = [
      ...this.#inMemory,
      ...changes.map((change) => ({ key: this.#nextInMemory++, project, picture, change })),
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
    this.#keep(project, picture, resolution.added);
    this.#asideInMemory.push(...resolution.aside);
  }

  async #storedOf(project: string, picture: number): Promise<Waiting[]> {
    const stored = await this.#read((database) => database.getAllFromIndex("changes", "picture", [project, picture]));
    return (stored ?? []) as Waiting[];
  }

  /** Read from the database; null where none can be opened, and all that is known waits in memory. */
  async #read<T>(read: (database: IDBPDatabase<Schema>) => Promise<T>): Promise<T | null> {
    let database;
    try {
      database = await this.#open();
    } catch {
      return null;
    }
    try {
      return await read(database);
    } catch {
      // The browser may close a database at any time, which shows at the next use.
      this.#database = null;
      return read(await this.#open());
    }
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    const forget = () => (this.#database = null);
    if (this.#database) return this.#database;
    const opening = openDB<Schema>(this.#name, 1, {
      upgrade(database) {
        const changes = database.createObjectStore("changes", { keyPath: "key", autoIncrement: true });
        changes.createIndex("project", "project");
        changes.createIndex("picture", ["project", "picture"]);
        const aside = database.createObjectStore("aside", { autoIncrement: true });
        aside.createIndex("project", "project");
      },
      blocking() {
        void opening.then((database) => database.close());
        forget();
      },
      terminated: forget,
    });
    opening.catch(forget);
    this.#database = opening;
    return opening;
  }
}
