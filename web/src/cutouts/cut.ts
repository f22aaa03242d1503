import type { RunLengths } from "../geometry/rle";
import type { Bounds } from "../geometry/shapes";
import { encodePng } from "./png";

/** Pixels at a time: a few megabytes, whatever the size of the picture. */
const STRIP_PIXELS = 1 << 20;
const STRIP_ROWS = 4096;

/** Nothing could be cut out, for a reason that the person can do something about. */
export class CutOutError extends Error {
  override name = "CutOutError";
}

/** Reads a rectangle of the picture as rows of RGBA, opaque. */
export type ReadPixels = (bounds: Bounds) => Uint8ClampedArray | Uint8Array;

/**
 * Cut a rectangle out of the picture as a PNG: opaque on the mask, and transparent black elsewhere.
 *
 * @param bounds - by default the mask's tight box.
 * @throws CutOutError where the mask is empty.
 */
export function cutPng(read: ReadPixels, mask: RunLengths, bounds: Bounds | null = mask.bounds): Blob {
  if (mask.area === 0 || bounds === null) throw new CutOutError("The mask is empty: there is nothing to cut out.");
  return encodePng(bounds[2] - bounds[0], bounds[3] - bounds[1], strips(read, mask, bounds));
}

function* strips(read: ReadPixels, mask: RunLengths, [x0, y0, x1, y1]: Bounds): Generator<Uint8Array> {
  const rows = Math.min(Math.max(1, Math.floor(STRIP_PIXELS / (x1 - x0))), STRIP_ROWS);
  for (let top = y0; top < y1; top += rows) {
    const part: Bounds = [x0, top, x1, Math.min(top + rows, y1)];
    const pixels = read(part);
    const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
    mask.window(part).mask.forEach((on, i) => {
      // What is hidden is not given away under the transparency.
      if (on) bytes[4 * i + 3] = 255;
      else bytes.fill(0, 4 * i, 4 * i + 4);
    });
    yield bytes;
  }
}
