import type { Rings } from "../geometry/shapes";

/**
 * Outlines along pixels with their corners cut, so that a slanting edge is a line instead of stairs.
 *
 * Each edge keeps its middle: a corner is cut where half a step has gone, or half the edge if that is shorter.
 *
 * @param step - length of a stair, in the unit of the points.
 */
export function chamfer(rings: Rings, step: number): Rings {
  return rings.map((ring) => chamferRing(ring, step));
}

function chamferRing(ring: Float32Array, step: number): Float32Array {
  const cut = new Float32Array(ring.length * 2);
  let length = 0;
  for (let i = 0; i + 1 < ring.length; i += 2) {
    const [ax, ay] = [ring[i] ?? 0, ring[i + 1] ?? 0];
    const next = i + 2 < ring.length ? i + 2 : 0;
    const [bx, by] = [ring[next] ?? 0, ring[next + 1] ?? 0];
    const edge = Math.hypot(bx - ax, by - ay);
    const share = edge > step ? step / 2 / edge : 0.5;
    cut[length++] = ax + (bx - ax) * share;
    cut[length++] = ay + (by - ay) * share;
    // An edge of one stair has both cuts in its middle.
    if (share === 0.5) continue;
    cut[length++] = bx + (ax - bx) * share;
    cut[length++] = by + (ay - by) * share;
  }
  return cut.slice(0, length);
}
