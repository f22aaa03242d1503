import { RunLengths } from "./rle";
import type { Rings } from "./shapes";

/** A growing list of whole numbers. */
class Numbers {
  values = new Int32Array(256);
  length = 0;

  push(value: number): number {
    if (this.length === this.values.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length] = value;
    return this.length++;
  }

  at(index: number): number {
    return this.values[index] ?? 0;
  }
}

/** The rows at which one column of a mask begins and ends, and the corners where these horizontal edges began. */
interface Column {
  rows: Numbers;
  corners: Numbers;
}

/**
 * Follow the outline of a mask along the corners of its pixels.
 *
 * Filled by the even-odd rule (or the non-zero rule) the rings give exactly the mask. Outer rings run clockwise on the
 * screen, holes counter-clockwise; each has only the points where it turns. Pixels that touch in a corner alone are
 * separate; a ring may touch itself in a corner, but never crosses itself. Time and memory follow the length of the
 * outline and the width of the mask, not its area.
 */
export function traceMask(mask: RunLengths): Rings {
  return new CornerGraph(mask).rings();
}

/**
 * All turning points of a mask's outline, each joined with one in its row and one in its column.
 *
 * Every vertical line between two columns of pixels is looked at once: where only one of both columns begins or ends,
 * the outline turns.
 */
class CornerGraph {
  readonly #x = new Numbers();
  readonly #y = new Numbers();
  /** The corner at the other end of the horizontal edge. */
  readonly #beside = new Numbers();
  /** Corners at which an edge with the mask below it begins, on its left. */
  readonly #starts = new Numbers();

  constructor(mask: RunLengths) {
    const { spans, size } = mask;
    let left: Column = { rows: new Numbers(), corners: new Numbers() };
    let right: Column = { rows: new Numbers(), corners: new Numbers() };
    const extent = mask.bounds;
    if (extent === null) return;
    let next = 0;
    for (let x = extent[0]; x <= extent[2]; x++) {
      const top = x * size.height;
      const bottom = top + size.height;
      right.rows.length = right.corners.length = 0;
      while (next < spans.length && (spans[next] ?? 0) < bottom) {
        const end = spans[next + 1] ?? 0;
        right.rows.push(Math.max(spans[next] ?? 0, top) - top);
        right.rows.push(Math.min(end, bottom) - top);
        if (end > bottom) break;
        next += 2;
      }
      this.#compare(x, left, right);
      [left, right] = [right, left];
    }
  }

  rings(): Rings {
    const rings: Rings = [];
    const isDone = new Uint8Array(this.#x.length);
    for (let i = 0; i < this.#starts.length; i++) {
      let corner = this.#starts.at(i);
      if (isDone[corner]) continue;
      const path = [];
      while (!isDone[corner]) {
        const across = this.#beside.at(corner);
        isDone[corner] = isDone[across] = 1;
        path.push(this.#x.at(corner), this.#y.at(corner), this.#x.at(across), this.#y.at(across));
        // Corners were made down each vertical line, so that its edges join the first with the second, and so on.
        corner = across ^ 1;
      }
      rings.push(Float32Array.from(path));
    }
    return rings;
  }

  /** Find the corners on the line between two columns; edges with the mask below have even positions. */
  #compare(x: number, left: Column, right: Column): void {
    for (let i = 0, j = 0; i < left.rows.length || j < right.rows.length;) {
      const [a, b] = [i < left.rows.length ? left.rows.at(i) : -1, j < right.rows.length ? right.rows.at(j) : -1];
      if (a === b && ((i ^ j) & 1) === 0) {
        right.corners.push(left.corners.at(i));
        i++;
        j++;
      } else if (b < 0 || (a >= 0 && (a < b || (a === b && (i & 1) === 1)))) {
        // Of two corners in one place, the one whose pixel is above comes first: the pixels stay separate.
        const corner = this.#add(x, a);
        const begin = left.corners.at(i);
        this.#beside.values[corner] = begin;
        this.#beside.values[begin] = corner;
        i++;
      } else {
        const corner = this.#add(x, b);
        right.corners.push(corner);
        if ((j & 1) === 0) this.#starts.push(corner);
        j++;
      }
    }
  }

  #add(x: number, y: number): number {
    this.#x.push(x);
    this.#y.push(y);
    return this.#beside.push(-1);
  }
}
