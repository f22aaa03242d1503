import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { Change } from "../api/types";

interface StoredChange {
  key?: number;
  project: string;
  picture: number;
  change: Change;
  group?: string;
}

interface StoredAside {
  project: string;
  picture: number;
  change: Change;
  reason: string;
  group?: string;
}

/** What one project keeps under a name, such as the history of one of its pictures. */
export interface Kept {
  project: string;
  name: string;
  /** When it was written, in milliseconds since 1970. */
  at: number;
  content: unknown;
}

export interface Schema extends DBSchema {
  changes: { key: number; value: StoredChange; indexes: { project: string; picture: [string, number] } };
  aside: { key: number; value: StoredAside; indexes: { project: string } };
  kept: { key: [string, string]; value: Kept; indexes: { age: [string, number] } };
}

const VERSION = 2;

/** The browser's database, which all tabs share. It is opened when it is first needed, and again after it was closed. */
export class BrowserDatabase {
  readonly #name: string;
  #database: Promise<IDBPDatabase<Schema>> | null = null;

  constructor(name = "anymask-studio") {
    this.#name = name;
  }

  /** Rejects where the browser has no room, or lets nothing be kept. */
  open(): Promise<IDBPDatabase<Schema>> {
    const forget = () => (this.#database = null);
    if (this.#database) return this.#database;
    const opening = openDB<Schema>(this.#name, VERSION, {
      upgrade(database, before) {
        if (before < 1) {
          const changes = database.createObjectStore("changes", { keyPath: "key", autoIncrement: true });
          changes.createIndex("project", "project");
          changes.createIndex("picture", ["project", "picture"]);
          const aside = database.createObjectStore("aside", { autoIncrement: true });
          aside.createIndex("project", "project");
        }
        const kept = database.createObjectStore("kept", { keyPath: ["project", "name"] });
        kept.createIndex("age", ["project", "at"]);
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

  /** Read from it; null where it cannot be opened. */
  async read<T>(read: (database: IDBPDatabase<Schema>) => Promise<T>): Promise<T | null> {
    let database;
    try {
      database = await this.open();
    } catch {
      return null;
    }
    try {
      return await read(database);
    } catch {
      // The browser may close a database at any time, which shows at the next use.
      this.#database = null;
      return read(await this.open());
    }
  }

  close(): void {
    void this.#database?.then(
      (database) => database.close(),
      () => undefined,
    );
    this.#database = null;
  }
}
