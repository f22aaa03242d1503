import type { Api } from "../api/client";
import type { Decoder } from "../decoder/decoder";
import type { Size } from "../geometry/shapes";
import { Pixels } from "../sync/pixels";
import { Prefetch, type Wanted } from "../sync/prefetch";
import type { EmbeddingState } from "./session";

export interface FeedOptions {
  api: Pick<Api, "embedding" | "image">;
  decoder: Decoder;
  retryDelay: number;
  isDecoderReady(): boolean;
  /** Fingerprint of the model whose decoder is loaded. */
  model(): string | null;
  /** A picture's size, as soon as it is known. */
  size(picture: number): Size | null;
  /** Somebody needs to know a picture's size. */
  onSizeNeeded(picture: number): void;
  /** A picture's state is not what it was. */
  onChange(picture: number): void;
  onFailure(picture: number, error: unknown): void;
}

/**
 * Brings embeddings into the decoder: of the pictures that are wanted now, and then of the one that is likely next. Has the
 * files of the pictures at hand whose embeddings are.
 */
export class Feed {
  readonly pixels: Pixels;
  readonly #options: FeedOptions;
  readonly #prefetch: Prefetch;
  readonly #failed = new Set<number>();
  #wanted: Wanted = { now: [], soon: [] };
  /** The picture that is being taken by the decoder. */
  #feeding: number | null = null;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.pixels = new Pixels(options);
    this.#prefetch = new Prefetch({
      api: options.api,
      retryDelay: options.retryDelay,
      onEmbedding: (picture) => this.#changed(picture),
      onFailure: (picture, error) => this.#fail(picture, error),
    });
  }

  /** Whether the decoder can answer for a picture. */
  isReady(picture: number): boolean {
    const { decoder, isDecoderReady } = this.#options;
    return isDecoderReady() && picture !== this.#feeding && decoder.hasPicture(picture);
  }

  state(picture: number): EmbeddingState {
    if (this.isReady(picture)) return "ready";
    if (this.#failed.has(picture)) return "failed";
    if (!this.#wanted.now.includes(picture)) return "none";
    return this.#prefetch.embedding(picture) ? "loading" : "waiting";
  }

  want(wanted: Wanted): void {
    for (const picture of wanted.now) if (!this.#wanted.now.includes(picture)) this.#failed.delete(picture);
    this.#wanted = wanted;
    this.pixels.want(wanted);
    this.#prefetch.want({ ...wanted, now: wanted.now.filter((picture) => !this.isReady(picture)) });
    this.advance();
  }

  /** Go on, such as when the decoder has become ready or a picture's size known. */
  advance(): void {
    const { isDecoderReady, model } = this.#options;
    if (this.#feeding !== null || !isDecoderReady()) return;
    const { now, soon } = this.#wanted;
    const next = now.every((picture) => this.isReady(picture) || this.#failed.has(picture)) ? soon.slice(0, 1) : [];
    for (const picture of [...now, ...next]) {
      const size = this.#options.size(picture);
      const embedding = this.#prefetch.embedding(picture);
      if (!size && embedding) this.#options.onSizeNeeded(picture);
      const isFitting = embedding !== null && (embedding.model === null || embedding.model === model());
      if (size && isFitting && !this.isReady(picture) && !this.#failed.has(picture)) {
        void this.#feed(picture, embedding.data, size);
        return;
      }
    }
  }

  /** Forget all embeddings, because another model makes them now. */
  clear(): void {
    this.#prefetch.clear();
    this.#failed.clear();
    this.want(this.#wanted);
  }

  close(): void {
    this.#prefetch.close();
    this.pixels.close();
  }

  async #feed(picture: number, data: ArrayBuffer, size: Size): Promise<void> {
    this.#feeding = picture;
    try {
      await this.#options.decoder.setPicture(picture, data, size);
    } catch (error) {
      this.#fail(picture, error);
    }
    this.#feeding = null;
    this.#changed(picture);
  }

  #fail(picture: number, error: unknown): void {
    this.#failed.add(picture);
    this.#options.onFailure(picture, error);
    this.#options.onChange(picture);
  }

  #changed(picture: number): void {
    this.advance();
    this.#options.onChange(picture);
  }
}
