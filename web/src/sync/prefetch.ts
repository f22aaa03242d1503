import type { Api, Embedding, Priority } from "../api/client";
import { untilReached } from "../api/patience";

/** Which pictures are wanted, the most urgent first in each list. */
export interface Wanted {
  /** Those that somebody waits for, such as the one that is shown. */
  now: readonly number[];
  /** Those that are likely to be opened soon. */
  soon: readonly number[];
}

export interface PrefetchOptions {
  api: Pick<Api, "embedding">;
  /** Milliseconds to wait after a failure of the connection. */
  retryDelay: number;
  onEmbedding(picture: number): void;
  /** The server will not give the embedding. */
  onFailure(picture: number, error: unknown): void;
}

interface Load {
  priority: Priority;
  abort: AbortController;
}

const MOST_EMBEDDINGS = 6;

/**
 * Fetches embeddings, also ahead of their time. What is not wanted any more is stopped. Looking ahead takes one connection
 * at most, as the browser has only a few.
 */
export class Prefetch {
  readonly #options: PrefetchOptions;
  #wanted: Wanted = { now: [], soon: [] };
  /** The longest unused first. */
  readonly #embeddings = new Map<number, Embedding>();
  readonly #failed = new Set<number>();
  readonly #loads = new Map<number, Load>();
  #isClosed = false;

  constructor(options: PrefetchOptions) {
    this.#options = options;
  }

  /** The embedding of a picture, if it is here. */
  embedding(picture: number): Embedding | null {
    const embedding = this.#embeddings.get(picture);
    if (!embedding) return null;
    this.#embeddings.delete(picture);
    this.#embeddings.set(picture, embedding);
    return embedding;
  }

  want(wanted: Wanted): void {
    // Whoever comes to a picture again may have mended it.
    for (const picture of wanted.now) if (!this.#wanted.now.includes(picture)) this.#failed.delete(picture);
    this.#wanted = wanted;
    this.#advance();
  }

  /** Forget all embeddings, because another model makes them now. */
  clear(): void {
    this.#embeddings.clear();
    this.#failed.clear();
    for (const load of this.#loads.values()) load.abort.abort();
    this.#loads.clear();
    this.#advance();
  }

  close(): void {
    this.#isClosed = true;
    for (const load of this.#loads.values()) load.abort.abort();
  }

  #advance(): void {
    if (this.#isClosed) return;
    const { now, soon } = this.#wanted;
    const isMissing = (picture: number) => !this.#embeddings.has(picture) && !this.#failed.has(picture);
    const next = soon.find((picture) => isMissing(picture) && !now.includes(picture));
    const wanted = new Map<number, Priority>(now.filter(isMissing).map((picture) => [picture, "current"]));
    if (next !== undefined) wanted.set(next, "next");
    for (const [picture, load] of this.#loads) {
      if (wanted.get(picture) !== load.priority) {
        load.abort.abort();
        this.#loads.delete(picture);
      }
    }
    for (const [picture, priority] of wanted) if (!this.#loads.has(picture)) void this.#load(picture, priority);
  }

  async #load(picture: number, priority: Priority): Promise<void> {
    const { api, retryDelay } = this.#options;
    const abort = new AbortController();
    this.#loads.set(picture, { priority, abort });
    try {
      const ask = () => api.embedding(picture, priority, abort.signal);
      const embedding = await untilReached(ask, retryDelay, abort.signal);
      if (abort.signal.aborted) return;
      this.#embeddings.set(picture, embedding);
      this.#dropOldest();
      this.#options.onEmbedding(picture);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failed.add(picture);
      this.#options.onFailure(picture, error);
    }
    this.#loads.delete(picture);
    this.#advance();
  }

  #dropOldest(): void {
    const { now, soon } = this.#wanted;
    for (const picture of this.#embeddings.keys()) {
      if (this.#embeddings.size <= MOST_EMBEDDINGS) return;
      if (!now.includes(picture) && !soon.includes(picture)) this.#embeddings.delete(picture);
    }
  }
}
