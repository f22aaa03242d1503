import type { Rings } from "../geometry/shapes";

/** Outlines may be off by a fraction of a screen pixel where the picture is seen from afar. */
const TOLERATED = 0.75;

/**
 * How coarse a grid an outline may be drawn on, in picture pixels: a power of two, 1 where every pixel counts.
 *
 * @param scale - device pixels in a pixel of the picture.
 */
export function gridFor(scale: number): number {
  return scale >= TOLERATED ? 1 : 2 ** Math.floor(Math.log2(TOLERATED / scale));
}

/**
 * Outlines with their points moved onto a coarser grid, without those that fall together or lie on straight lines.
 *
 * Rings that become a line or a point are left out; if that would leave nothing, the outlines are returned as they are.
 */
export function coarsen(rings: Rings, grid: number): Rings {
  if (grid <= 1) return rings;
  const coarse: Rings = [];
  for (const ring of rings) {
    const kept = coarsenRing(ring, grid);
    if (kept.length >= 6) coarse.push(kept);
  }
  return coarse.length > 0 ? coarse : rings;
}

function coarsenRing(ring: Float32Array, grid: number): Float32Array {
  const kept = new Float32Array(ring.length);
  let length = 0;
  for (let i = 0; i + 1 < ring.length; i += 2) {
    kept[length] = Math.round((ring[i] ?? 0) / grid) * grid;
    kept[length + 1] = Math.round((ring[i + 1] ?? 0) / grid) * grid;
    length = withoutStraight(kept, length);
  }
  // The ring is closed: its end may lie on a line with its beginning.
  let start = 0;
  for (;;) {
    if (length - start >= 6 && isStraight(kept, length - 4, length - 2, start)) length -= 2;
    else if (length - start >= 6 && isStraight(kept, length - 2, start, start + 2)) start += 2;
    else return kept.slice(start, length);
  }
}

/** Length of the points up to that at `last`, once those before it that lie on a line with it are dropped. */
function withoutStraight(points: Float32Array, last: number): number {
  const [x, y] = [points[last] ?? 0, points[last + 1] ?? 0];
  let length = last;
  while (length >= 4 && isStraight(points, length - 4, length - 2, last)) length -= 2;
  if (length >= 2 && points[length - 2] === x && points[length - 1] === y) return length;
  points[length] = x;
  points[length + 1] = y;
  return length + 2;
}

/** Whether three points lie on one line, so that the middle one says nothing. */
function isStraight(points: Float32Array, a: number, b: number, c: number): boolean {
  const [ax, ay] = [points[a] ?? 0, points[a + 1] ?? 0];
  const [bx, by] = [points[b] ?? 0, points[b + 1] ?? 0];
  const [cx, cy] = [points[c] ?? 0, points[c + 1] ?? 0];
  return (bx - ax) * (cy - by) === (by - ay) * (cx - bx);
}
