import { Axis } from "./axis";
import { RunLengths, SpanBuilder, type MaskWindow } from "./rle";
import type { Point, Size } from "./shapes";

/** Logit of a fully covered cell when a mask becomes a prompt; an empty cell gets its negative. */
const MASK_PROMPT_LOGIT = 10;

/** Where the pixels of a picture lie along the model's input. */
interface Axes {
  columns: Axis;
  rows: Axis;
}

/**
 * The map between a picture of height x width pixels and a model input of side x side pixels.
 *
 * The picture is scaled so that its long side fills the input, placed at the top left corner, and padded on the right
 * and at the bottom. The Python package has the same class; points and mask prompts are the same to the last bit, masks
 * but for pixels whose logit is the threshold up to the last bits, because sums of 32-bit numbers depend on their order.
 */
export class Frame {
  readonly height: number;
  readonly width: number;
  readonly side: number;
  /** Size of the scaled picture inside the model's input, in model pixels. */
  readonly inputHeight: number;
  readonly inputWidth: number;
  readonly #axes = new Map<number, Axes>();

  /** @throws RangeError for a length below 1 or broken. */
  constructor(height: number, width: number, side = 1024) {
    if (![height, width, side].every((length) => Number.isInteger(length) && length >= 1)) {
      throw new RangeError(
        `A frame needs a height, width and side of at least 1 pixel, ` +
          `not ${String(height)} x ${String(width)} and side ${String(side)}.`,
      );
    }
    this.height = height;
    this.width = width;
    this.side = side;
    this.inputHeight = Math.max(1, Math.trunc(height * this.scale + 0.5));
    this.inputWidth = Math.max(1, Math.trunc(width * this.scale + 0.5));
  }

  /** Model pixels per pixel of the picture along the long side. */
  get scale(): number {
    return this.side / Math.max(this.height, this.width);
  }

  get size(): Size {
    return { width: this.width, height: this.height };
  }

  /** Model pixels per pixel of the picture, along x and along y: ratios of rounded sizes. */
  get ratios(): Point {
    return { x: this.inputWidth / this.width, y: this.inputHeight / this.height };
  }

  /** Map a point from the picture to the model's input, rounded to 32 bits. */
  toModel(point: Point): Point {
    const ratios = this.ratios;
    return { x: Math.fround(point.x * ratios.x), y: Math.fround(point.y * ratios.y) };
  }

  /** Map a point from the model's input to the picture, rounded to 32 bits. */
  fromModel(point: Point): Point {
    const ratios = this.ratios;
    return { x: Math.fround(point.x / ratios.x), y: Math.fround(point.y / ratios.y) };
  }

  /**
   * Turn a mask of the picture into logits of the padded grid, row-major `[grid, grid]`.
   *
   * A cell's logit is 10 * (2 * coverage - 1), where coverage is the exact fraction that the mask covers of the cell's
   * area inside the picture. Cells in the padding are background.
   *
   * @param mask - of a rectangle of this picture, such as {@link RunLengths.window} draws it.
   */
  maskToLogits(mask: MaskWindow, grid: number): Float32Array<ArrayBuffer> {
    const { x: xRatio, y: yRatio } = this.ratios;
    const columns = this.#edges(grid, xRatio, this.width);
    const rows = this.#edges(grid, yRatio, this.height);
    const covered = integrate(mask, columns, rows, this.size);
    const logits = new Float32Array(grid * grid);
    for (let r = 0; r < grid; r++) {
      const height = (rows[r + 1] ?? 0) - (rows[r] ?? 0);
      for (let c = 0; c < grid; c++) {
        const inside = height * ((columns[c + 1] ?? 0) - (columns[c] ?? 0));
        const coverage = inside > 0 ? Math.min(Math.max((covered[r * grid + c] ?? 0) / inside, 0), 1) : 0;
        logits[r * grid + c] = MASK_PROMPT_LOGIT * (2 * coverage - 1);
      }
    }
    return logits;
  }

  /**
   * Bring low-resolution logits to the picture's size and threshold them.
   *
   * Bilinear to the model's input, padding cropped away, bilinear to the picture: SAM's post-processing. Interpolation
   * never leaves the range of what it reads, so that only pixels between cells on both sides of the threshold are
   * computed, and no picture of logits is ever made.
   *
   * @param logits - row-major `[grid, grid]`.
   * @param threshold - logit above which a pixel belongs to the mask.
   * @throws RangeError where the logits are not `[grid, grid]`.
   */
  logitsToRuns(logits: Float32Array, grid: number, threshold = 0): RunLengths {
    if (logits.length !== grid * grid) {
      throw new RangeError(`${String(logits.length)} logits are not a grid of ${String(grid)} x ${String(grid)}.`);
    }
    const { columns, rows } = this.#axesOf(grid);
    const spans = new SpanBuilder(256);
    new Walk(new Cells(logits, grid, columns.reach, rows.reach, threshold), columns, rows, spans).collect();
    return new RunLengths(spans.finish(), this.size);
  }

  /** As {@link Frame.logitsToRuns}, and draw the mask inside its tight box. */
  logitsToMask(logits: Float32Array, grid: number, threshold = 0): MaskWindow {
    return this.logitsToRuns(logits, grid, threshold).window();
  }

  #axesOf(grid: number): Axes {
    let axes = this.#axes.get(grid);
    if (axes === undefined) {
      axes = {
        columns: new Axis(grid, this.side, this.inputWidth, this.width),
        rows: new Axis(grid, this.side, this.inputHeight, this.height),
      };
      this.#axes.set(grid, axes);
    }
    return axes;
  }

  /** Borders of the grid's cells in pixels of the picture, as far as it goes. */
  #edges(grid: number, ratio: number, length: number): Float64Array {
    const step = this.side / grid;
    return Float64Array.from({ length: grid + 1 }, (_, i) =>
      Math.min((i === grid ? this.side : i * step) / ratio, length),
    );
  }
}

/** How many of the cells that something depends on are above the threshold. */
const NONE = 0;
const ALL = 1;
const SOME = 2;

/** Logits of the grid, column by column, as far as the picture reaches. */
class Cells {
  readonly byColumn: Float32Array;
  readonly rows: number;
  readonly threshold: number;
  /** Columns and rows of the first and the last cell above the threshold: x0, y0, x1, y1; null if there is none. */
  readonly bounds: [number, number, number, number] | null = null;

  constructor(logits: Float32Array, grid: number, columns: number, rows: number, threshold: number) {
    this.byColumn = new Float32Array(columns * rows);
    this.rows = rows;
    this.threshold = threshold;
    let [left, top, right, bottom] = [columns, rows, -1, -1];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const logit = logits[r * grid + c] ?? 0;
        this.byColumn[c * rows + r] = logit;
        if (logit > threshold) {
          left = Math.min(left, c);
          right = Math.max(right, c);
          top = Math.min(top, r);
          bottom = r;
        }
      }
    }
    if (bottom >= 0) this.bounds = [left, top, right, bottom];
  }

  /** Mark each row by how many of the columns from `first` to `last` (inclusive) are above the threshold there. */
  classify(first: number, last: number, marks: Uint8Array): void {
    const { byColumn, rows, threshold } = this;
    for (let r = 0; r < rows; r++) {
      let above = 0;
      for (let c = first; c <= last; c++) if ((byColumn[c * rows + r] ?? 0) > threshold) above++;
      marks[r] = above === 0 ? NONE : above === last - first + 1 ? ALL : SOME;
    }
  }
}

/**
 * Finds the foreground of one column of the picture after the other.
 *
 * Where all cells that a pixel depends on are above the threshold, or none is, nothing is computed: columns that depend
 * on the same cells share the list of the stretches that remain.
 */
class Walk {
  readonly #cells: Cells;
  readonly #columns: Axis;
  readonly #rows: Axis;
  readonly #spans: SpanBuilder;
  readonly #marks: Uint8Array;
  /** Logits of one column of the picture, still in the grid's rows, where they are needed. */
  readonly #column: Float32Array;
  /** Begin, end and kind of each stretch of rows that is not all background, one after the other. */
  readonly #parts: Int32Array;

  constructor(cells: Cells, columns: Axis, rows: Axis, spans: SpanBuilder) {
    this.#cells = cells;
    this.#columns = columns;
    this.#rows = rows;
    this.#spans = spans;
    this.#marks = new Uint8Array(cells.rows);
    this.#column = new Float32Array(cells.rows);
    this.#parts = new Int32Array(rows.stretches.length * 3);
  }

  collect(): void {
    const { bounds } = this.#cells;
    if (bounds === null) return;
    const { first, last, stretches } = this.#columns;
    const [from, to] = this.#columns.reached(bounds[0], bounds[2]);
    for (let s = 0; s < stretches.length - 1; s++) {
      const begin = Math.max(stretches[s] ?? 0, from);
      const end = Math.min(stretches[s + 1] ?? 0, to);
      if (begin >= end) continue;
      this.#cells.classify(first[begin] ?? 0, last[begin] ?? 0, this.#marks);
      const length = this.#listParts();
      for (let x = begin; x < end; x++) this.#collectColumn(x, length);
    }
  }

  /** List the stretches of rows by their marks; returns how many numbers that are. */
  #listParts(): number {
    const { first, last, stretches } = this.#rows;
    const [parts, marks] = [this.#parts, this.#marks];
    let length = 0;
    for (let s = 0; s < stretches.length - 1; s++) {
      const begin = stretches[s] ?? 0;
      const lastCell = last[begin] ?? 0;
      const firstCell = first[begin] ?? 0;
      let kind = marks[firstCell] ?? NONE;
      for (let cell = firstCell + 1; cell <= lastCell; cell++) if (marks[cell] !== kind) kind = SOME;
      if (kind === NONE) continue;
      const end = stretches[s + 1] ?? 0;
      if (kind === ALL && length > 0 && parts[length - 1] === ALL && parts[length - 2] === begin) {
        parts[length - 2] = end;
        continue;
      }
      parts[length++] = begin;
      parts[length++] = end;
      parts[length++] = kind;
    }
    return length;
  }

  #collectColumn(x: number, length: number): void {
    const top = x * this.#rows.length;
    const { first, last } = this.#rows;
    const [parts, spans] = [this.#parts, this.#spans];
    let known = 0;
    for (let i = 0; i < length; i += 3) {
      const [begin, end] = [parts[i] ?? 0, parts[i + 1] ?? 0];
      if (parts[i + 2] === ALL) {
        spans.add(top + begin, top + end);
        continue;
      }
      const next = (last[begin] ?? 0) + 1;
      this.#interpolate(x, Math.max(first[begin] ?? 0, known), next);
      known = next;
      this.#collectMixed(begin, end, top);
    }
  }

  /** Bring some rows of the grid to a column of the picture. */
  #interpolate(x: number, from: number, to: number): void {
    const { first, last, weights, taps } = this.#columns;
    const { byColumn, rows } = this.#cells;
    const column = this.#column;
    const firstCell = first[x] ?? 0;
    const used = (last[x] ?? 0) - firstCell + 1;
    for (let r = from; r < to; r++) {
      let sum = 0;
      for (let t = 0; t < used; t++) {
        // One multiplication and addition is rounded once, as processors with fused arithmetic do it.
        sum = Math.fround((byColumn[(firstCell + t) * rows + r] ?? 0) * (weights[x * taps + t] ?? 0) + sum);
      }
      column[r] = sum;
    }
  }

  /** Add the pixels above the threshold in a stretch of rows that depend on the same cells. */
  #collectMixed(begin: number, end: number, top: number): void {
    const { first, last, weights, taps } = this.#rows;
    const { threshold } = this.#cells;
    const [column, spans] = [this.#column, this.#spans];
    const firstCell = first[begin] ?? 0;
    const lastCell = last[begin] ?? 0;
    let above = 0;
    for (let cell = firstCell; cell <= lastCell; cell++) if ((column[cell] ?? 0) > threshold) above++;
    if (above === lastCell - firstCell + 1) spans.add(top + begin, top + end);
    if (above === lastCell - firstCell + 1 || above === 0) return;
    let start = -1;
    for (let y = begin; y < end; y++) {
      let sum = 0;
      for (let cell = firstCell, w = y * taps; cell <= lastCell; cell++, w++) {
        sum = Math.fround((weights[w] ?? 0) * (column[cell] ?? 0) + sum);
      }
      if (sum > threshold) {
        if (start < 0) start = y;
      } else if (start >= 0) {
        spans.add(top + start, top + y);
        start = -1;
      }
    }
    if (start >= 0) spans.add(top + start, top + end);
  }
}

/** Integrate a mask over the rectangles between successive edges, row-major `[rows, columns]` of float64. */
function integrate(mask: MaskWindow, columns: Float64Array, rows: Float64Array, size: Size): Float64Array {
  const [x0, y0, x1, y1] = mask.bounds;
  const [width, across] = [x1 - x0, columns.length - 1];
  const covered = new Float64Array((rows.length - 1) * across);
  // Running sums down the picture, of what each of its rows has up to each edge.
  const above = new Float64Array(across);
  const row = new Float64Array(across);
  const before = new Float64Array(across);
  const wholeColumns = wholes(columns, size.width);
  const wholeRows = wholes(rows, size.height);
  let edge = 0;
  for (let y = 0; y < size.height; y++) {
    const isThere = y >= y0 && y < y1;
    row.fill(0);
    if (isThere) measureRow(mask.mask.subarray((y - y0) * width, (y - y0 + 1) * width), x0, wholeColumns, columns, row);
    for (; edge < rows.length && wholeRows[edge] === y; edge++) {
      const share = (rows[edge] ?? 0) - y;
      for (let c = 0; c < across; c++) {
        const here = (above[c] ?? 0) + share * (row[c] ?? 0);
        if (edge > 0) covered[(edge - 1) * across + c] = here - (before[c] ?? 0);
        before[c] = here;
      }
    }
    if (isThere) for (let c = 0; c < across; c++) above[c] = (above[c] ?? 0) + (row[c] ?? 0);
  }
  return covered;
}

/** Whole pixels before each edge, but for the last edge all but one. */
function wholes(edges: Float64Array, length: number): Int32Array {
  return Int32Array.from(edges, (edge) => Math.min(Math.trunc(edge), length - 1));
}

/** Length of a row's mask between successive edges, into `row`; the pixels begin at `x0` of the picture. */
function measureRow(pixels: Uint8Array, x0: number, whole: Int32Array, edges: Float64Array, row: Float64Array): void {
  let count = 0;
  let x = x0;
  let before = 0;
  for (let e = 0; e < edges.length; e++) {
    const to = whole[e] ?? 0;
    for (; x < to; x++) if (pixels[x - x0]) count++;
    const here = count + ((edges[e] ?? 0) - to) * (to >= x0 && pixels[to - x0] ? 1 : 0);
    if (e > 0) row[e - 1] = here - before;
    before = here;
  }
}
