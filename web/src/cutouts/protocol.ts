import type { Size } from "../geometry/shapes";

/** What of an object is cut out. */
export interface CutOutObject {
  counts: string;
  label: string | null;
}

/** one: the object in its tight box. together: all in the whole picture. each: every object by itself, as a ZIP. */
export type Cut =
  | { kind: "one"; object: CutOutObject }
  | { kind: "together"; objects: readonly CutOutObject[] }
  | { kind: "each"; objects: readonly CutOutObject[]; pictureName: string };

/** What the worker is asked. */
export interface CutRequest {
  /** A rectangle of the picture, with its corner at `corner`. */
  bitmap: ImageBitmap;
  corner: { x: number; y: number };
  size: Size;
  cut: Cut;
}

/** What the worker tells: how many objects are done, and at last the file or why there is none. */
export type CutAnswer =
  { kind: "progress"; done: number } | { kind: "done"; file: Blob } | { kind: "failed"; reason: string };
