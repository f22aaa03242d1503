import type { RunLengths } from "./rle";
import type { Point } from "./shapes";

/**
 * Position of the point that is nearest to another and at most a distance away; null if none is. Of two in one place the
 * later one, which is painted on top.
 *
 * @param distance - in the unit of the points: a distance on the screen divided by the scale.
 */
export function nearestPoint(points: readonly Point[], to: Point, distance: number): number | null {
  let best: number | null = null;
  let nearest = distance * distance;
  points.forEach((point, i) => {
    const away = (point.x - to.x) ** 2 + (point.y - to.y) ** 2;
    if (away <= nearest) [best, nearest] = [i, away];
  });
  return best;
}

/** The smallest of the masks on which a point lies, and of equal ones the last, which is painted on top; or null. */
export function smallestAt<T>(masks: Iterable<readonly [T, RunLengths]>, point: Point): T | null {
  let best: T | null = null;
  let least = Infinity;
  for (const [name, mask] of masks) {
    if (mask.area <= least && mask.contains(point)) [best, least] = [name, mask.area];
  }
  return best;
}
