import type { StoreApi } from "zustand/vanilla";
import type { Notice, StudioState } from "./session";

const MOST_NOTICES = 20;

/** What the person is told; a sentence that is being shown is not shown twice. */
export class Notices {
  readonly #state: StoreApi<StudioState>;
  #next = 1;

  constructor(state: StoreApi<StudioState>) {
    this.#state = state;
  }

  notify(kind: Notice["kind"], text: string): void {
    const { notices } = this.#state.getState();
    if (notices.some((notice) => notice.text === text && notice.kind === kind)) return;
    this.#state.setState({ notices: [...notices, { id: this.#next++, kind, text }].slice(-MOST_NOTICES) });
  }

  /** Tell of something that went wrong, in its own words. */
  fault(error: unknown, what = ""): void {
    const text = error instanceof Error ? error.message : String(error);
    this.notify("error", text.includes(what) ? text : `${what}: ${text}`);
  }

  dismiss(id: number): void {
    this.#state.setState(({ notices }) => ({ notices: notices.filter((notice) => notice.id !== id) }));
  }
}
