import type { Bounds, Rings } from "../geometry/shapes";
import { chamfer } from "./chamfer";
import { PIXELATED_FROM } from "./pictureLayer";
import { simplify } from "./simplify";
import { smooth } from "./smooth";

/** In the place of a tolerance: each corner of each pixel. */
const EXACT = 0;
/** What is hardly seen, in device pixels. */
const UNSEEN = 0.375;

interface Remembered {
  bounds: Bounds;
  /** By tolerance. */
  paths: Map<number, Path2D>;
}

/** Outlines ready to be painted, remembered as long as the rings they were made of live. */
export class Paths {
  readonly #remembered = new WeakMap<Rings, Remembered>();

  bounds(rings: Rings): Bounds {
    return this.recall(rings).bounds;
  }

  /**
   * @param scale - device pixels in a pixel of the picture. Where single pixels are seen the path follows them; else
   * its stairs are cut into slopes, and it is made of as few points as look the same.
   */
  path(rings: Rings, scale: number): Path2D {
    return this.remember(rings, scale < PIXELATED_FROM ? toleranceFor(scale) : EXACT, (tolerance) => {
      return tolerance === EXACT ? rings : simplify(chamfer(rings, 1), tolerance);
    });
  }

  /**
   * The path of an outline that comes from coarser samples than pixels, with rounded corners.
   *
   * @param scale - device pixels in a pixel of the picture.
   */
  smoothPath(rings: Rings, scale: number): Path2D {
    return this.remember(rings, toleranceFor(scale), (tolerance) => {
      return simplify(smooth(rings, tolerance / 2), tolerance / 2);
    });
  }

  private remember(rings: Rings, tolerance: number, outline: (tolerance: number) => Rings): Path2D {
    const { paths } = this.recall(rings);
    let path = paths.get(tolerance);
    if (!path) {
      path = straightPath(outline(tolerance));
      paths.set(tolerance, path);
    }
    return path;
  }

  private recall(rings: Rings): Remembered {
    let remembered = this.#remembered.get(rings);
    if (!remembered) {
      remembered = { bounds: boundsOf(rings), paths: new Map() };
      this.#remembered.set(rings, remembered);
    }
    return remembered;
  }
}

/**
 * How far a path may be from its outline, in picture pixels: a power of two, so that a path serves for many scales.
 *
 * @param scale - device pixels in a pixel of the picture.
 */
export function toleranceFor(scale: number): number {
  return 2 ** Math.floor(Math.log2(UNSEEN / scale));
}

export function boundsOf(rings: Rings): Bounds {
  const bounds: Bounds = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let i = 0; i + 1 < ring.length; i += 2) {
      const [x, y] = [ring[i] ?? 0, ring[i + 1] ?? 0];
      if (x < bounds[0]) bounds[0] = x;
      if (y < bounds[1]) bounds[1] = y;
      if (x > bounds[2]) bounds[2] = x;
      if (y > bounds[3]) bounds[3] = y;
    }
  }
  return bounds;
}

function straightPath(rings: Rings): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0] ?? 0, ring[1] ?? 0);
    for (let i = 2; i + 1 < ring.length; i += 2) path.lineTo(ring[i] ?? 0, ring[i + 1] ?? 0);
    path.closePath();
  }
  return path;
}
