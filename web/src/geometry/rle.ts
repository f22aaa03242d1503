import { decodeCounts, encodeCounts, RunLengthsError } from "./counts";
import type { Bounds, Point, Size } from "./shapes";
import { forEachColumn, fromColumns } from "./tiles";

export { decodeCounts, encodeCounts, RunLengthsError };

/** A mask known inside a rectangle of the picture, and background outside of it. */
export interface MaskWindow {
  /** Row-major, one byte a pixel of the rectangle: 1 on the mask, 0 elsewhere. */
  mask: Uint8Array;
  bounds: Bounds;
}

/**
 * A mask as stretches of foreground, which answers many questions without pixels.
 *
 * Pixels are counted down the columns, as in COCO's run lengths. Each mask has one form only: no stretch is empty, and
 * none touches the next.
 */
export class RunLengths {
  /** Start and end (exclusive) of each stretch of foreground, one after the other; strictly rising. */
  readonly spans: Uint32Array;
  readonly size: Size;
  #area: number | undefined;
  #bounds: Bounds | null | undefined;
  #counts: string | undefined;

  /** For stretches as {@link RunLengths.spans} holds them; most callers want one of the `from…`. */
  constructor(spans: Uint32Array, size: Size) {
    this.spans = spans;
    this.size = size;
  }

  /**
   * Read COCO's compressed run lengths.
   *
   * @throws RunLengthsError where they are damaged or do not fill a picture of that size exactly.
   */
  static fromCounts(counts: string, size: Size): RunLengths {
    return RunLengths.fromRuns(decodeCounts(counts), size);
  }

  /**
   * Take run lengths, background first; empty runs are allowed.
   *
   * @throws RunLengthsError where they do not fill a picture of that size exactly.
   */
  static fromRuns(runs: ArrayLike<number>, size: Size): RunLengths {
    const spans = new SpanBuilder(runs.length + 1);
    let position = 0;
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i] ?? 0;
      if (i & 1) spans.add(position, position + run);
      position += run;
    }
    if (position !== size.width * size.height) {
      throw new RunLengthsError(
        `A mask of ${String(position)} pixels does not fit a picture of ${String(size.width)} x ${String(size.height)}.`,
      );
    }
    return new RunLengths(spans.finish(), size);
  }

  /** Take a row-major mask of the whole picture; what is not zero is foreground. */
  static fromMask(mask: Uint8Array, size: Size): RunLengths {
    return RunLengths.fromWindow(mask, [0, 0, size.width, size.height], size);
  }

  /**
   * Take a row-major mask of a rectangle of the picture; outside of it all is background.
   *
   * @throws RangeError where the rectangle leaves the picture, or the mask has another size than it.
   */
  static fromWindow(mask: Uint8Array, bounds: Bounds, size: Size): RunLengths {
    checkWindow(bounds, size);
    const [x0, y0, x1, y1] = bounds;
    const [width, height] = [x1 - x0, y1 - y0];
    if (mask.length !== width * height) {
      throw new RangeError(
        `A mask of ${String(mask.length)} pixels cannot fill a rectangle of ${String(width)} x ${String(height)}.`,
      );
    }
    const spans = new SpanBuilder(64);
    forEachColumn(mask, width, height, (column, x) => {
      const corner = (x0 + x) * size.height + y0;
      for (let start = column.indexOf(1); start >= 0;) {
        const found = column.indexOf(0, start);
        const end = found < 0 ? height : found;
        spans.add(corner + start, corner + end);
        start = column.indexOf(1, end);
      }
    });
    return new RunLengths(spans.finish(), size);
  }

  /** Number of pixels of the mask. */
  get area(): number {
    if (this.#area === undefined) {
      let area = 0;
      for (let i = 0; i < this.spans.length; i += 2) area += (this.spans[i + 1] ?? 0) - (this.spans[i] ?? 0);
      this.#area = area;
    }
    return this.#area;
  }

  /** The tight box of the mask, or null where it is empty. */
  get bounds(): Bounds | null {
    if (this.#bounds === undefined) this.#bounds = measureBounds(this.spans, this.size.height);
    return this.#bounds;
  }

  /** Run lengths, background first, none of them empty but perhaps the first. */
  get runs(): Uint32Array {
    const { spans, size } = this;
    const total = size.width * size.height;
    const runs = new Uint32Array(spans.length + 1);
    let position = 0;
    spans.forEach((edge, i) => {
      runs[i] = edge - position;
      position = edge;
    });
    runs[spans.length] = total - position;
    return position === total ? runs.subarray(0, spans.length) : runs;
  }

  /** COCO's compressed run lengths, the same text as pycocotools gives for this mask. */
  get counts(): string {
    return (this.#counts ??= encodeCounts(this.runs));
  }

  /** Whether the pixel in which a point lies belongs to the mask; points outside of the picture do not. */
  contains(point: Point): boolean {
    const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
    if (!(x >= 0 && y >= 0 && x < this.size.width && y < this.size.height)) return false;
    return (countUpTo(this.spans, x * this.size.height + y) & 1) === 1;
  }

  /**
   * Draw the mask's pixels inside a rectangle of the picture, by default its tight box.
   *
   * @throws RangeError where the rectangle leaves the picture.
   */
  window(bounds: Bounds = this.bounds ?? [0, 0, 0, 0]): MaskWindow {
    checkWindow(bounds, this.size);
    const [x0, y0, x1, y1] = bounds;
    const { spans, size } = this;
    let next = countUpTo(spans, x0 * size.height) & ~1;
    const mask = fromColumns(x1 - x0, y1 - y0, (column, x) => {
      const top = (x0 + x) * size.height;
      while (next < spans.length && (spans[next + 1] ?? 0) <= top) next += 2;
      for (let i = next; i < spans.length; i += 2) {
        const start = (spans[i] ?? 0) - top;
        if (start >= y1) break;
        const end = (spans[i + 1] ?? 0) - top;
        if (end > y0) column.fill(1, Math.max(start - y0, 0), Math.min(end, y1) - y0);
      }
    });
    return { mask, bounds };
  }

  /** Number of pixels that both masks have. Masks of different sizes have none. */
  overlap(other: RunLengths): number {
    if (this.size.width !== other.size.width || this.size.height !== other.size.height) return 0;
    if (!meet(this.bounds, other.bounds)) return 0;
    const [a, b] = [this.spans, other.spans];
    let common = 0;
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      const [aEnd, bEnd] = [a[i + 1] ?? 0, b[j + 1] ?? 0];
      const shared = Math.min(aEnd, bEnd) - Math.max(a[i] ?? 0, b[j] ?? 0);
      if (shared > 0) common += shared;
      if (aEnd <= bEnd) i += 2;
      if (bEnd <= aEnd) j += 2;
    }
    return common;
  }

  /** Intersection over union of two masks; 0 where both are empty. */
  iou(other: RunLengths): number {
    const common = this.overlap(other);
    return common === 0 ? 0 : common / (this.area + other.area - common);
  }
}

/** Collects stretches of foreground in rising order; those that touch become one, and empty ones are left out. */
export class SpanBuilder {
  #spans: Uint32Array;
  #length = 0;

  constructor(capacity: number) {
    this.#spans = new Uint32Array(Math.max(2, capacity + (capacity & 1)));
  }

  /** Add the pixels from `start` to `end` (exclusive); `start` is not before the end of the stretch before. */
  add(start: number, end: number): void {
    if (end <= start) return;
    if (this.#length > 0 && this.#spans[this.#length - 1] === start) {
      this.#spans[this.#length - 1] = end;
      return;
    }
    if (this.#length === this.#spans.length) {
      const larger = new Uint32Array(this.#length * 2);
      larger.set(this.#spans);
      this.#spans = larger;
    }
    this.#spans[this.#length++] = start;
    this.#spans[this.#length++] = end;
  }

  finish(): Uint32Array {
    return this.#spans.slice(0, this.#length);
  }
}

/** COCO's compressed run lengths of a row-major mask of the whole picture. */
export function encodeMask(mask: Uint8Array, size: Size): string {
  return RunLengths.fromMask(mask, size).counts;
}

/** COCO's compressed run lengths of a mask that is known only inside a rectangle of the picture. */
export function encodeWindow(mask: Uint8Array, bounds: Bounds, size: Size): string {
  return RunLengths.fromWindow(mask, bounds, size).counts;
}

/** The pixels of a mask, row-major, 1 on it and 0 elsewhere. */
export function decodeMask(counts: string, size: Size): Uint8Array {
  return RunLengths.fromCounts(counts, size).window([0, 0, size.width, size.height]).mask;
}

/** Number of pixels of a mask. */
export function area(counts: string): number {
  return decodeCounts(counts).reduce((sum, run, i) => (i & 1 ? sum + run : sum), 0);
}

/** The tight box of a mask, or null where it is empty. */
export function bounds(counts: string, size: Size): Bounds | null {
  return RunLengths.fromCounts(counts, size).bounds;
}

/** Whether a point lies on a mask. For many questions about one mask, keep its {@link RunLengths}. */
export function contains(counts: string, size: Size, point: Point): boolean {
  return RunLengths.fromCounts(counts, size).contains(point);
}

/** All pixels that any of the masks has. */
export function union(masks: readonly RunLengths[], size: Size): RunLengths {
  let parts = masks.map((mask) => mask.spans);
  while (parts.length > 1) {
    const pairs = [];
    for (let i = 0; i < parts.length; i += 2) pairs.push(merge(parts[i], parts[i + 1]));
    parts = pairs;
  }
  return new RunLengths(parts[0] ?? new Uint32Array(0), size);
}

function merge(a: Uint32Array = new Uint32Array(0), b: Uint32Array = new Uint32Array(0)): Uint32Array {
  const merged = new Uint32Array(a.length + b.length);
  let length = 0;
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const fromA = j >= b.length || (i < a.length && (a[i] ?? 0) <= (b[j] ?? 0));
    const start = (fromA ? a[i] : b[j]) ?? 0;
    const end = (fromA ? a[i + 1] : b[j + 1]) ?? 0;
    if (fromA) i += 2;
    else j += 2;
    if (length > 0 && start <= (merged[length - 1] ?? 0)) {
      merged[length - 1] = Math.max(merged[length - 1] ?? 0, end);
    } else {
      merged[length++] = start;
      merged[length++] = end;
    }
  }
  return merged.slice(0, length);
}

/** How many edges of stretches lie at or before a position; odd on the mask. */
function countUpTo(spans: Uint32Array, position: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle] ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function measureBounds(spans: Uint32Array, height: number): Bounds | null {
  if (spans.length === 0) return null;
  let top = height;
  let bottom = 0;
  for (let i = 0; i < spans.length; i += 2) {
    const start = spans[i] ?? 0;
    const last = (spans[i + 1] ?? 0) - 1;
    const column = Math.floor(start / height);
    if (last >= (column + 1) * height) {
      top = 0;
      bottom = height;
      break;
    }
    top = Math.min(top, start - column * height);
    bottom = Math.max(bottom, last - column * height + 1);
  }
  const left = Math.floor((spans[0] ?? 0) / height);
  const right = Math.floor(((spans[spans.length - 1] ?? 0) - 1) / height) + 1;
  return [left, top, right, bottom];
}

function meet(a: Bounds | null, b: Bounds | null): boolean {
  return a !== null && b !== null && a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

function checkWindow(window: Bounds, size: Size): void {
  const [x0, y0, x1, y1] = window;
  if (!(x0 >= 0 && y0 >= 0 && x0 <= x1 && y0 <= y1 && x1 <= size.width && y1 <= size.height)) {
    throw new RangeError(
      `The rectangle (${window.join(", ")}) does not lie in a picture of ${String(size.width)} x ${String(size.height)}.`,
    );
  }
}
