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
    const cells = new Cells(logits, grid, columns.reach, rows.reach, threshold);
    const spans = new SpanBuilder(256);
    if (cells.bounds !== null) {
      const [x0, x1] = columns.reached(cells.bounds[0], cells.bounds[2]);
      const [y0, y1] = rows.reached(cells.bounds[1], cells.bounds[3]);
      const walk = new ColumnWalk(rows, y0, y1, threshold);
      for (let x = x0; x < x1; x++) walk.collect(cells.across(columns, x), x * this.height, spans);
    }
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

/** Logits of the grid, column by column, as far as the picture reaches. */
class Cells {
  /** Columns and rows of the first and the last cell above the threshold: x0, y0, x1, y1; null if there is none. */
  readonly bounds: [number, number, number, number] | null = null;
  readonly #byColumn: Float32Array;
  readonly #rows: number;
  readonly #column: Float32Array;

  constructor(logits: Float32Array, grid: number, columns: number, rows: number, threshold: number) {
    this.#byColumn = new Float32Array(columns * rows);
    this.#rows = rows;
    this.#column = new Float32Array(rows);
    let [left, top, right, bottom] = [columns, rows, -1, -1];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const logit = logits[r * grid + c] ?? 0;
        this.#byColumn[c * rows + r] = logit;
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

  /** Interpolate one column of the picture, still in the grid's rows; the array is used again. */
  across(axis: Axis, x: number): Float32Array {
    const [rows, column, cells] = [this.#rows, this.#column, this.#byColumn];
    const first = axis.first[x] ?? 0;
    const used = (axis.last[x] ?? 0) - first + 1;
    column.fill(0);
    for (let t = 0; t < used; t++) {
      const weight = axis.weights[x * axis.taps + t] ?? 0;
      const from = (first + t) * rows;
      // One multiplication and addition is rounded once, as processors with fused arithmetic do it.
      for (let r = 0; r < rows; r++) column[r] = (cells[from + r] ?? 0) * weight + (column[r] ?? 0);
    }
    return column;
  }
}

/** Finds the foreground of one column of the picture after the other. */
class ColumnWalk {
  readonly #axis: Axis;
  readonly #threshold: number;
  readonly #from: number;
  readonly #to: number;
  readonly #firstStretch: number;

  /** For rows of the picture from `from` to `to` (exclusive). */
  constructor(axis: Axis, from: number, to: number, threshold: number) {
    this.#axis = axis;
    this.#threshold = threshold;
    this.#from = from;
    this.#to = to;
    this.#firstStretch = axis.stretches.findLastIndex((begin) => begin <= from);
  }

  /** Add the stretches where a column of the grid's rows, interpolated, exceeds the threshold. */
  collect(cells: Float32Array, top: number, spans: SpanBuilder): void {
    const { first, last, stretches } = this.#axis;
    const [threshold, to] = [this.#threshold, this.#to];
    for (let s = this.#firstStretch; s < stretches.length - 1; s++) {
      const begin = Math.max(stretches[s] ?? 0, this.#from);
      if (begin >= to) break;
      const end = Math.min(stretches[s + 1] ?? 0, to);
      const lastCell = last[begin] ?? 0;
      let above = 0;
      const firstCell = first[begin] ?? 0;
      for (let cell = firstCell; cell <= lastCell; cell++) if ((cells[cell] ?? 0) > threshold) above++;
      if (above === lastCell - firstCell + 1) spans.add(top + begin, top + end);
      else if (above > 0) this.#collectMixed(cells, begin, end, top, spans);
    }
  }

  #collectMixed(cells: Float32Array, begin: number, end: number, top: number, spans: SpanBuilder): void {
    const { first, last, weights, taps } = this.#axis;
    const firstCell = first[begin] ?? 0;
    const used = (last[begin] ?? 0) - firstCell + 1;
    let start = -1;
    for (let y = begin; y < end; y++) {
      let sum = 0;
      for (let t = 0; t < used; t++) {
        sum = Math.fround((weights[y * taps + t] ?? 0) * (cells[firstCell + t] ?? 0) + sum);
      }
      if (sum > this.#threshold) {
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
