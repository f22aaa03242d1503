import type { Api } from "../api/client";
import { NetworkError } from "../api/client";
import { pause } from "../api/patience";
import type { Wanted } from "./prefetch";

export interface PixelsOptions {
  api: Pick<Api, "image">;
  /** Milliseconds to wait after a failure of the connection. */
  retryDelay: number;
}

/** Files with more bytes are not fetched ahead, nor kept. */
export const LARGEST_AHEAD = 32e6;

interface Ahead {
  picture: number;
  abort: AbortController;
  /** What is being asked; null for a file that is too large. */
  attempt: Promise<Blob | null>;
}

/**
 * The files of the picture that is shown and of those that come next, so that going on needs no server. They are fetched
 * one at a time, as the browser has few connections, and given up once they are not wanted any more.
 */
export class Pixels {
  readonly #options: PixelsOptions;
  #wanted: readonly number[] = [];
  /** Those of them to fetch ahead. */
  #soon: readonly number[] = [];
  readonly #files = new Map<number, Blob>();
  /** Those wanted that are too large, or that the server does not give. */
  readonly #left = new Set<number>();
  #ahead: Ahead | null = null;
  #isClosed = false;

  constructor(options: PixelsOptions) {
    this.#options = options;
  }

  /** Whether a picture's file is here. */
  has(picture: number): boolean {
    return this.#files.has(picture);
  }

  /**
   * A picture's file, from here if it was fetched ahead.
   *
   * @throws what {@link Api.image} throws.
   */
  async get(picture: number, signal: AbortSignal): Promise<Blob> {
    const ahead = this.#ahead?.picture === picture ? await this.#ahead.attempt.catch(() => null) : null;
    signal.throwIfAborted();
    const held = ahead ?? this.#files.get(picture);
    if (held) return held;
    const file = await this.#options.api.image(picture, Infinity, signal);
    if (file === null) throw new RangeError("no file is larger than any");
    this.#keep(picture, file);
    return file;
  }

  /** Hold the first picture that is wanted now, which is the one shown, and fetch those that are wanted soon. */
  want({ now, soon }: Wanted): void {
    this.#wanted = [...now.slice(0, 1), ...soon];
    this.#soon = soon;
    for (const picture of this.#files.keys()) if (!this.#wanted.includes(picture)) this.#files.delete(picture);
    for (const picture of this.#left) if (!this.#wanted.includes(picture)) this.#left.delete(picture);
    if (this.#ahead && !this.#wanted.includes(this.#ahead.picture)) {
      this.#ahead.abort.abort();
      this.#ahead = null;
    }
    this.#advance();
  }

  close(): void {
    this.#isClosed = true;
    this.#ahead?.abort.abort();
    this.#files.clear();
  }

  #advance(): void {
    if (this.#ahead || this.#isClosed) return;
    const next = this.#soon.find((picture) => !this.#files.has(picture) && !this.#left.has(picture));
    if (next !== undefined) void this.#fetchAhead(next);
  }

  async #fetchAhead(picture: number): Promise<void> {
    const { api, retryDelay } = this.#options;
    const abort = new AbortController();
    const ahead = { picture, abort, attempt: api.image(picture, LARGEST_AHEAD, abort.signal) };
    this.#ahead = ahead;
    try {
      const file = await ahead.attempt;
      if (abort.signal.aborted) return;
      if (file) this.#keep(picture, file);
      else this.#left.add(picture);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof NetworkError)) this.#left.add(picture);
      else await pause(retryDelay, abort.signal).catch(() => undefined);
    }
    if (this.#ahead !== ahead) return;
    this.#ahead = null;
    this.#advance();
  }

  #keep(picture: number, file: Blob): void {
    if (file.size <= LARGEST_AHEAD && this.#wanted.includes(picture)) this.#files.set(picture, file);
  }
}
