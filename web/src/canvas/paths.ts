import type { Bounds, Rings } from "../geometry/shapes";
import { chamfer } from "./chamfer";
import { coarsen, gridFor } from "./coarsen";
import { PIXELATED_FROM } from "./pictureLayer";

/** In the place of a grid: each corner of each pixel. */
const EXACT = 0;

interface Remembered {
  bounds: Bounds;
  /** By grid. */
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
   * its stairs are cut into slopes, and from afar it is made of fewer points.
   */
  path(rings: Rings, scale: number): Path2D {
    const { paths } = this.recall(rings);
    const grid = scale < PIXELATED_FROM ? gridFor(scale) : EXACT;
    let path = paths.get(grid);
    if (!path) {
      path = straightPath(grid === EXACT ? rings : chamfer(coarsen(rings, grid), grid));
      paths.set(grid, path);
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

/** A path that rounds the corners of rings, through the middles of their edges. */
export function smoothPath(rings: Rings): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    const count = ring.length / 2;
    const x = (i: number) => ring[(i % count) * 2] ?? 0;
    const y = (i: number) => ring[(i % count) * 2 + 1] ?? 0;
    path.moveTo((x(0) + x(1)) / 2, (y(0) + y(1)) / 2);
    for (let i = 1; i <= count; i++) path.quadraticCurveTo(x(i), y(i), (x(i) + x(i + 1)) / 2, (y(i) + y(i + 1)) / 2);
    path.closePath();
  }
  return path;
}
