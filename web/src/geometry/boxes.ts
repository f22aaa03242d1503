import type { Box } from "../api/types";
import type { Point, Size } from "./shapes";

/** The nearest point inside the picture; its borders belong to it. */
export function clampPoint(point: Point, size: Size): Point {
  return { x: Math.min(Math.max(point.x, 0), size.width), y: Math.min(Math.max(point.y, 0), size.height) };
}

/** Whether a point lies on the picture; its borders belong to it. */
export function isInside(point: Point, size: Size): boolean {
  return point.x >= 0 && point.y >= 0 && point.x <= size.width && point.y <= size.height;
}

/** The box between two opposite corners, in any order, as far as it lies in the picture; null if nothing of it does. */
export function boxBetween(a: Point, b: Point, size: Size): Box | null {
  const first = clampPoint({ x: Math.min(a.x, b.x), y: Math.min(a.y, b.y) }, size);
  const last = clampPoint({ x: Math.max(a.x, b.x), y: Math.max(a.y, b.y) }, size);
  return first.x < last.x && first.y < last.y ? [first.x, first.y, last.x, last.y] : null;
}

/** Whether a point lies in a box or on its border. */
export function boxContains(box: Box, point: Point): boolean {
  return point.x >= box[0] && point.y >= box[1] && point.x <= box[2] && point.y <= box[3];
}
