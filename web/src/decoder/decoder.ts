import type { DecoderFiles, Model, Prompts } from "../api/types";
import type { Bounds, Point, Rings, Size } from "../geometry/shapes";

export type Backend = "webgpu" | "wasm";

/** What hovering shows: the outline of the model's best mask, smooth, straight from low-resolution logits. */
export interface Preview {
  rings: Rings;
  score: number;
}

/** One mask of an answer, at the picture's size. */
export interface Candidate {
  /** COCO's compressed run lengths, as anymask's own Python gives them for the same logits. */
  counts: string;
  area: number;
  bounds: Bounds;
  score: number;
  /** Exact outline along the corners of pixels. */
  rings: Rings;
}

/** Answer to prompts: one candidate, or for a lone click three from the smallest to the largest. */
export interface Answer {
  candidates: Candidate[];
  /** Position of the chosen one: that of `prompts.choice`, else the best by score. */
  chosen: number;
}

/**
 * The mask decoder, in a worker.
 *
 * Pictures are known to it by their number. One call is computed at a time, clicks before what only shows something. A
 * call of `hover` or `preview` that waits resolves to null when a newer one comes, so that a moving pointer never piles
 * up work; one of `answer` does when the same prompts with more clicks come, and never else. What cannot be computed
 * rejects with a DecoderError, whose message is a sentence for the person.
 */
export interface Decoder {
  load(files: DecoderFiles, model: Model): Promise<Backend>;
  /** Take a picture's embedding (float16, as served); it is copied. A few pictures are kept, the longest unused goes. */
  setPicture(picture: number, embedding: ArrayBuffer, size: Size): Promise<void>;
  hasPicture(picture: number): boolean;
  /** The best mask under the pointer. */
  hover(picture: number, point: Point): Promise<Preview | null>;
  /** A live preview of any prompts, such as a box while it is dragged. */
  preview(picture: number, prompts: Prompts): Promise<Preview | null>;
  /** The answer to prompts, at full size. Earlier steps are computed again only where they are not remembered. */
  answer(picture: number, prompts: Prompts): Promise<Answer | null>;
  close(): void;
}
