import { keepHistory, type KeptHistory } from "../annotation/keptHistory";
import type { Keepsakes } from "../sync/keepsakes";
import type { PictureDocument } from "./documents";

export interface HistoryKeeperOptions {
  keepsakes: Keepsakes;
  signal: AbortSignal;
  /** The project's id, as soon as it is known. */
  project(): string | null;
}

const BEGINNING = "history ";
const MOST_PICTURES = 200;
/** Milliseconds after a change, so that the mask is painted first. */
const DELAY = 100;

/** Keeps each picture's history in the browser, so that what was done can be undone after a reload too. */
export class HistoryKeeper {
  readonly #options: HistoryKeeperOptions;
  readonly #changed = new Set<PictureDocument>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: HistoryKeeperOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => {
      if (this.#timer !== null) clearTimeout(this.#timer);
    });
  }

  /** Null where there is none. */
  async read(picture: number): Promise<KeptHistory | null> {
    const project = this.#options.project();
    if (project === null) return null;
    return (await this.#options.keepsakes.get(project, nameOf(picture))) as KeptHistory | null;
  }

  changed(document: PictureDocument): void {
    this.#changed.add(document);
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, DELAY);
  }

  /** Write what has changed now, as the page may be going. */
  flush(): void {
    const { keepsakes, project } = this.#options;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const id = project();
    if (id === null) return;
    for (const document of this.#changed) {
      // What was kept of it before is not at hand yet.
      if (!document.isLoaded) continue;
      const { history, objects } = document;
      const isEmpty = history.past.length === 0 && history.future.length === 0;
      void keepsakes.put(id, nameOf(document.id), isEmpty ? null : keepHistory(history, objects));
    }
    this.#changed.clear();
  }

  /** Forget the histories of pictures that were not worked on for the longest time. */
  async tidy(project: string): Promise<void> {
    const kept = await this.#options.keepsakes.names(project, BEGINNING);
    for (const name of kept.slice(0, -MOST_PICTURES)) void this.#options.keepsakes.put(project, name, null);
  }
}

function nameOf(picture: number): string {
  return `${BEGINNING}${String(picture)}`;
}
