import "fake-indexeddb/auto";
import { afterEach } from "vitest";
import { createSession, type SessionOptions } from "../../src/session/create";
import type { Session, StudioState } from "../../src/session/session";
import type { Timing } from "../../src/session/timing";
import { openKeepsakes } from "../../src/sync/keepsakes";
import { openOutbox } from "../../src/sync/outbox";
import type { PictureChanged, Tabs } from "../../src/sync/tabs";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer, PROJECT } from "./fakeServer";

export const IMPATIENT: Timing = { sending: [2, 4], connection: 2, statusSoon: 3, statusLate: 5, idle: 5 };

/** Storage as a browser has it. */
class FakeStorage implements Storage {
  readonly #items = new Map<string, string>();
  get length(): number {
    return this.#items.size;
  }
  clear(): void {
    this.#items.clear();
  }
  getItem(name: string): string | null {
    return this.#items.get(name) ?? null;
  }
  key(index: number): string | null {
    return [...this.#items.keys()][index] ?? null;
  }
  removeItem(name: string): void {
    this.#items.delete(name);
  }
  setItem(name: string, value: string): void {
    this.#items.set(name, value);
  }
}

/** One holder at a time, as with the Web Locks API. */
class FakeLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  request = ((name: string, _options: LockOptions, work: () => Promise<unknown>) => {
    const held = (this.#last.get(name) ?? Promise.resolve()).then(work, work);
    this.#last.set(
      name,
      held.catch(() => undefined),
    );
    return held;
  }) as LockManager["request"];
}

/** A page of a browser. */
export class FakePage extends EventTarget {
  readonly document = new EventTarget();
}

let databases = 0;

/** A browser with its own database, storage and tabs. */
export class FakeBrowser {
  readonly database = `browser-${++databases}`;
  readonly local = new FakeStorage();
  readonly #locks = new FakeLocks();
  readonly #tabs = new Set<(message: PictureChanged) => void>();
  readonly #open = new Set<Session>();

  /** Open the studio in a tab; `server` is what answers it. */
  open(server: FakeServer, decoder = new FakeDecoder(), options: Partial<SessionOptions> = {}): Tab {
    const outbox = openOutbox(this.database);
    const page = new FakePage();
    const session = createSession({
      api: server.api,
      decoder,
      outbox,
      keepsakes: openKeepsakes(this.database),
      tabs: this.#channel(),
      locks: this.#locks,
      storages: { session: new FakeStorage(), local: this.local },
      address: null,
      timing: IMPATIENT,
      page,
      ...options,
    });
    this.#open.add(session);
    session.start();
    return new Tab(server, session, decoder, page);
  }

  /** End it at once: what is not in its database is lost. */
  kill(): void {
    for (const session of this.#open) session.close();
    this.#open.clear();
    this.#tabs.clear();
  }

  #channel(): Tabs {
    const listeners = new Set<(message: PictureChanged) => void>();
    const receive = (message: PictureChanged) => {
      for (const listener of listeners) listener(message);
    };
    this.#tabs.add(receive);
    return {
      tell: (message) => {
        for (const other of this.#tabs) if (other !== receive) other(message);
      },
      onChange: (listener) => listeners.add(listener),
      close: () => this.#tabs.delete(receive),
    };
  }
}

/** The studio in one tab, with ways to wait for it. */
export class Tab {
  constructor(
    readonly server: FakeServer,
    readonly session: Session,
    readonly decoder: FakeDecoder,
    readonly page: FakePage,
  ) {}

  get state(): StudioState {
    return this.session.state.getState();
  }

  /** Wait until the state is as said. */
  async until(condition: (state: StudioState) => unknown): Promise<StudioState> {
    for (let i = 0; i < 2000; i++) {
      if (condition(this.state)) return this.state;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`It never came to ${condition.toString()}: ${JSON.stringify(summary(this.state))}`);
  }

  /** Wait until clicks are answered in the open picture. */
  ready(): Promise<StudioState> {
    const isOpening = (picture: number) => this.server.openRequests.has(`open ${picture}`);
    return this.until(({ embedding, picture }) => embedding === "ready" && picture && !isOpening(picture.id));
  }

  /** Wait until nothing is being answered or saved. */
  settled(): Promise<StudioState> {
    return this.until((s) => s.waiting.length === 0 && !s.decoding && s.saving === "saved" && s.unsaved === 0);
  }

  /** Whether the browser would ask before it closes the page. */
  get warns(): boolean {
    return !this.page.dispatchEvent(new Event("beforeunload", { cancelable: true }));
  }

  /** Wait until all changes are in the browser's database. */
  kept(): Promise<StudioState> {
    return this.until(() => !this.warns);
  }

  /** Open a picture and wait until clicks are answered there. */
  async go(picture: number): Promise<void> {
    await this.until(({ pictures }) => pictures.some(({ id }) => id === picture));
    this.session.openPicture(picture);
    await this.until((state) => state.picture?.id === picture);
    await this.ready();
  }
}

function summary({ notices, objects, saving, unsaved, embedding, decoder, waiting, selected }: StudioState): object {
  return { notices, objects: objects.length, saving, unsaved, embedding, decoder, waiting, selected };
}

const browsers = new Set<FakeBrowser>();

/** A browser that is ended after the test. */
export function newBrowser(): FakeBrowser {
  const browser = new FakeBrowser();
  browsers.add(browser);
  return browser;
}

/** Let everything that is under way come to an end. */
export async function pass(milliseconds = 10): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

afterEach(() => {
  for (const browser of browsers) browser.kill();
  browsers.clear();
});

export { PROJECT };
