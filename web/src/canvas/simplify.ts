import type { Rings } from "../geometry/shapes";

/**
 * Outlines with fewer points, for what cannot be told apart on the screen: strokes take time for each point.
 *
 * Each point left out lies within the tolerance of the line that takes its place. Rings that become a line or a point are
 * left out; if that would leave nothing, the outlines are returned as they are.
 *
 * @param tolerance - in the unit of the points.
 */
export function simplify(rings: Rings, tolerance: number): Rings {
  const simple = rings.map((ring) => simplifyRing(ring, tolerance)).filter((ring) => ring.length >= 6);
  return simple.length > 0 ? simple : rings;
}

/**
 * One line goes on as long as a cone from its beginning lets it pass every point on the way within the tolerance, and as
 * long as it does not turn back.
 */
function simplifyRing(ring: Float32Array, tolerance: number): Float32Array {
  const kept = new Float32Array(ring.length);
  const cone = new Cone(tolerance);
  let length = 0;
  let before = 0;
  for (let i = 0; i <= ring.length; i += 2) {
    const at = i === ring.length ? 0 : i;
    const [x, y] = [ring[at] ?? 0, ring[at + 1] ?? 0];
    if (i > 0 && cone.admits(x, y)) {
      before = at;
      continue;
    }
    // Of the first point, and where a line ends, a new one begins.
    const [startX, startY] = [ring[before] ?? 0, ring[before + 1] ?? 0];
    kept[length++] = startX;
    kept[length++] = startY;
    cone.begin(startX, startY);
    if (i > 0) cone.admits(x, y);
    before = at;
  }
  return kept.slice(0, length);
}

/** The directions from a point in which a line passes all points so far within the tolerance. */
class Cone {
  readonly #tolerance: number;
  #x = 0;
  #y = 0;
  #farthest = 0;
  /** Its sides; the second lies clockwise of the first on the screen, by less than half a turn. */
  #firstX = 0;
  #firstY = 0;
  #lastX = 0;
  #lastY = 0;

  constructor(tolerance: number) {
    this.#tolerance = tolerance;
  }

  begin(x: number, y: number): void {
    this.#x = x;
    this.#y = y;
    this.#farthest = 0;
  }

  /** Whether a line may go on to a point; if so, the cone becomes narrower by it. */
  admits(pointX: number, pointY: number): boolean {
    const [x, y] = [pointX - this.#x, pointY - this.#y];
    const tolerance = this.#tolerance;
    const distance = Math.sqrt(x * x + y * y);
    if (distance < this.#farthest - tolerance) return false;
    if (distance <= tolerance) return true;
    const sine = tolerance / distance;
    const cosine = Math.sqrt(1 - sine * sine);
    const [firstX, firstY] = [x * cosine + y * sine, y * cosine - x * sine];
    const [lastX, lastY] = [x * cosine - y * sine, y * cosine + x * sine];
    if (this.#farthest <= tolerance) {
      this.#firstX = firstX;
      this.#firstY = firstY;
      this.#lastX = lastX;
      this.#lastY = lastY;
    } else {
      if (cross(this.#firstX, this.#firstY, x, y) < 0 || cross(x, y, this.#lastX, this.#lastY) < 0) return false;
      if (cross(this.#firstX, this.#firstY, firstX, firstY) > 0) {
        this.#firstX = firstX;
        this.#firstY = firstY;
      }
      if (cross(lastX, lastY, this.#lastX, this.#lastY) > 0) {
        this.#lastX = lastX;
        this.#lastY = lastY;
      }
    }
    this.#farthest = Math.max(this.#farthest, distance);
    return true;
  }
}

function cross(ax: number, ay: number, bx: number, by: number): number {
  return ax * by - ay * bx;
}
