import { BrowserDatabase, type Kept } from "./browserDatabase";

/**
 * What a project keeps in the browser under names, from one visit to the next, beside changes. Losing it costs
 * convenience, but no mask: where the browser keeps nothing, nothing is kept, and nobody is told.
 */
export interface Keepsakes {
  /** Resolves when it is written, or cannot be; what is written later stays. Null forgets it. */
  put(project: string, name: string, content: unknown): Promise<void>;
  /** Null where there is nothing. */
  get(project: string, name: string): Promise<unknown>;
  /** All of those whose names begin so, the oldest first. */
  list(project: string, beginning: string): Promise<Kept[]>;
  /** Only their names, the oldest first. */
  names(project: string, beginning: string): Promise<string[]>;
  close(): void;
}

export function openKeepsakes(name?: string): Keepsakes {
  const browser = new BrowserDatabase(name);
  let writing: Promise<void> = Promise.resolve();

  async function read<T>(work: Parameters<typeof browser.read<T>>[0]): Promise<T | null> {
    await writing;
    return browser.read(work).catch(() => null);
  }

  return {
    put(project, kept, content) {
      writing = writing
        .then(async () => {
          const database = await browser.open();
          if (content === null) await database.delete("kept", [project, kept]);
          else await database.put("kept", { project, name: kept, at: Date.now(), content });
        })
        .catch(() => undefined);
      return writing;
    },

    get: async (project, kept) => (await read((database) => database.get("kept", [project, kept])))?.content ?? null,

    async list(project, beginning) {
      // Histories may be large, and are not read for other things.
      const named = IDBKeyRange.bound([project, beginning], [project, `${beginning}\uffff`]);
      const all = await read((database) => database.getAll("kept", named));
      return (all ?? []).sort((a, b) => a.at - b.at);
    },

    async names(project, beginning) {
      const ofProject = IDBKeyRange.bound([project, 0], [project, Infinity]);
      const keys = await read((database) => database.getAllKeysFromIndex("kept", "age", ofProject));
      return (keys ?? []).map(([, kept]) => kept).filter((kept) => kept.startsWith(beginning));
    },

    close: () => browser.close(),
  };
}
