import type { Rings } from "../geometry/shapes";

/**
 * Outlines with their corners rounded: curves through the middles of their edges, as lines.
 *
 * A curve of the second degree takes the place of each corner, and is cut into as few lines as the tolerance lets.
 *
 * @param tolerance - how far the lines may be from the curve, in the unit of the points.
 */
export function smooth(rings: Rings, tolerance: number): Rings {
  return rings.map((ring) => smoothRing(ring, tolerance));
}

function smoothRing(ring: Float32Array, tolerance: number): Float32Array {
  const count = ring.length / 2;
  const points: number[] = [];
  for (let i = 0; i < count; i++) {
    const [before, after] = [i === 0 ? count - 1 : i - 1, i === count - 1 ? 0 : i + 1];
    const [x, y] = [ring[2 * i] ?? 0, ring[2 * i + 1] ?? 0];
    const [fromX, fromY] = [(x + (ring[2 * before] ?? 0)) / 2, (y + (ring[2 * before + 1] ?? 0)) / 2];
    const [toX, toY] = [(x + (ring[2 * after] ?? 0)) / 2, (y + (ring[2 * after + 1] ?? 0)) / 2];
    const bend = Math.hypot(fromX - 2 * x + toX, fromY - 2 * y + toY);
    const lines = Math.max(1, Math.ceil(Math.sqrt(bend / (4 * tolerance))));
    for (let line = 0; line < lines; line++) {
      const t = line / lines;
      const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
      points.push(a * fromX + b * x + c * toX, a * fromY + b * y + c * toY);
    }
  }
  return Float32Array.from(points);
}
