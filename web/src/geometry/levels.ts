import type { Frame } from "./frame";
import type { Rings } from "./shapes";

/** Samples along one axis: where they lie in the picture, and between which samples of the grid, with which share. */
interface Samples {
  position: number[];
  low: number[];
  high: number[];
  share: number[];
}

/**
 * Follow the line on which low-resolution logits cross a level: a smooth outline in pixels of the picture.
 *
 * Marching squares with linear interpolation. The logits go on unchanged from the outermost samples to the border of the
 * picture, where the rings are closed along it. Inside is what exceeds the level; outer rings run clockwise on the
 * screen, holes counter-clockwise. Where two corners of a square lie inside, opposite to each other, they are joined if
 * the mean of all four exceeds the level.
 *
 * @param logits - row-major `[grid, grid]`, in the model's padded frame.
 */
export function traceLevel(logits: Float32Array, grid: number, level: number, frame: Frame): Rings {
  if (logits.length !== grid * grid) {
    throw new RangeError(`${String(logits.length)} logits are not a grid of ${String(grid)} x ${String(grid)}.`);
  }
  const across = sampleAxis(grid, frame.side, frame.inputWidth, frame.width);
  const down = sampleAxis(grid, frame.side, frame.inputHeight, frame.height);
  return new Squares(logits, grid, level, across, down).rings();
}

/**
 * The grid's samples inside the picture, one where the last pixel of the scaled picture lies, and one on each border.
 *
 * From that pixel to the border the logits stay the same, since the padding is cut off before they are enlarged.
 */
function sampleAxis(grid: number, side: number, used: number, length: number): Samples {
  const cell = side / grid;
  const end = used - 0.5;
  const last = Math.max(end / cell - 0.5, 0);
  const inside = Math.ceil(last);
  const samples: Samples = { position: [0], low: [0], high: [0], share: [0] };
  const add = (position: number, low: number, share: number): void => {
    samples.position.push((position / used) * length);
    samples.low.push(low);
    samples.high.push(Math.min(low + 1, grid - 1));
    samples.share.push(share);
  };
  for (let i = 0; i < inside; i++) add((i + 0.5) * cell, i, 0);
  const below = Math.floor(last);
  add(end, below, last - below);
  add(used, below, last - below);
  return samples;
}

/**
 * The samples with a frame of outside around them, which lies on the border too, and the squares between them.
 *
 * The line crosses an edge between two neighbouring samples where one of them is inside and the other is not. Edge
 * `2 * s` goes from sample s to the right, edge `2 * s + 1` down.
 */
class Squares {
  readonly #columns: number;
  readonly #rows: number;
  readonly #values: Float64Array;
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  readonly #level: number;
  /** Of each edge that the line crosses, the edge where it leaves the square that it enters there. */
  readonly #next: Int32Array;
  readonly #entered: number[] = [];

  constructor(logits: Float32Array, grid: number, level: number, across: Samples, down: Samples) {
    this.#level = level;
    this.#x = withEnds(across.position);
    this.#y = withEnds(down.position);
    const [columns, rows] = [this.#x.length, this.#y.length];
    this.#columns = columns;
    this.#rows = rows;
    const values = new Float64Array(columns * rows).fill(-Infinity);
    for (let r = 1; r < rows - 1; r++) {
      const [top, bottom] = [(down.low[r - 1] ?? 0) * grid, (down.high[r - 1] ?? 0) * grid];
      const share = down.share[r - 1] ?? 0;
      for (let c = 1; c < columns - 1; c++) {
        const [left, right] = [across.low[c - 1] ?? 0, across.high[c - 1] ?? 0];
        const part = across.share[c - 1] ?? 0;
        const above = mix(logits[top + left] ?? 0, logits[top + right] ?? 0, part);
        values[r * columns + c] =
          share === 0 ? above : mix(above, mix(logits[bottom + left] ?? 0, logits[bottom + right] ?? 0, part), share);
      }
    }
    this.#values = values;
    this.#next = new Int32Array(columns * rows * 2).fill(-1);
    this.#join();
  }

  rings(): Rings {
    const rings: Rings = [];
    for (const start of this.#entered) {
      const path: number[] = [];
      let edge = start;
      for (;;) {
        const following = this.#next[edge] ?? -1;
        if (following < 0) break;
        this.#next[edge] = -1;
        this.#addPoint(path, edge);
        edge = following;
      }
      const ring = withoutRepeats(path);
      if (ring.length >= 6) rings.push(ring);
    }
    return rings;
  }

  /** Lead the line through each square, with the inside on its right. */
  #join(): void {
    const [columns, values, level] = [this.#columns, this.#values, this.#level];
    for (let r = 0; r < this.#rows - 1; r++) {
      for (let c = 0; c < columns - 1; c++) {
        const corner = r * columns + c;
        const a = values[corner] ?? 0;
        const b = values[corner + 1] ?? 0;
        const d = values[corner + columns] ?? 0;
        const e = values[corner + columns + 1] ?? 0;
        const inside = (a > level ? 8 : 0) | (b > level ? 4 : 0) | (e > level ? 2 : 0) | (d > level ? 1 : 0);
        if (inside === 0 || inside === 15) continue;
        const [top, left] = [2 * corner, 2 * corner + 1];
        const [bottom, right] = [2 * (corner + columns), 2 * (corner + 1) + 1];
        const isJoined = (inside === 10 || inside === 5) && (a + b + d + e) / 4 > level;
        for (const [from, to] of leads(inside, isJoined)) {
          const sides = [top, right, bottom, left];
          const entry = sides[from] ?? 0;
          this.#next[entry] = sides[to] ?? 0;
          this.#entered.push(entry);
        }
      }
    }
  }

  #addPoint(path: number[], edge: number): void {
    const from = edge >> 1;
    const to = edge & 1 ? from + this.#columns : from + 1;
    const [a, b] = [this.#values[from] ?? 0, this.#values[to] ?? 0];
    // From the outside, which has no depth, the line is where the samples of the border are.
    const share = a === -Infinity ? 1 : (this.#level - a) / (b - a);
    const [row, column] = [Math.floor(from / this.#columns), from % this.#columns];
    const [x, y] = [this.#x[column] ?? 0, this.#y[row] ?? 0];
    if (edge & 1) path.push(x, mix(y, this.#y[row + 1] ?? 0, share));
    else path.push(mix(x, this.#x[column + 1] ?? 0, share), y);
  }
}

const TOP = 0;
const RIGHT = 1;
const BOTTOM = 2;
const LEFT = 3;
type Lead = readonly [from: number, to: number];

/** By which corners lie inside (8 top left, 4 top right, 2 bottom right, 1 bottom left), with the inside on the right. */
const LEADS: readonly (readonly Lead[])[] = [
  [],
  [[LEFT, BOTTOM]],
  [[BOTTOM, RIGHT]],
  [[LEFT, RIGHT]],
  [[RIGHT, TOP]],
  [
    [RIGHT, TOP],
    [LEFT, BOTTOM],
  ],
  [[BOTTOM, TOP]],
  [[LEFT, TOP]],
  [[TOP, LEFT]],
  [[TOP, BOTTOM]],
  [
    [TOP, LEFT],
    [BOTTOM, RIGHT],
  ],
  [[TOP, RIGHT]],
  [[RIGHT, LEFT]],
  [[RIGHT, BOTTOM]],
  [[BOTTOM, LEFT]],
  [],
];

/** The same for opposite corners that are joined through the middle. */
const JOINED: Readonly<Record<number, readonly Lead[]>> = {
  5: [
    [LEFT, TOP],
    [RIGHT, BOTTOM],
  ],
  10: [
    [TOP, RIGHT],
    [BOTTOM, LEFT],
  ],
};

function leads(inside: number, isJoined: boolean): readonly Lead[] {
  return (isJoined ? JOINED[inside] : LEADS[inside]) ?? [];
}

function mix(a: number, b: number, share: number): number {
  return share === 0 ? a : share === 1 ? b : a + share * (b - a);
}

function withEnds(positions: readonly number[]): Float64Array {
  return Float64Array.from([positions[0] ?? 0, ...positions, positions.at(-1) ?? 0]);
}

/** Drop points that lie where the one before them does, or between their neighbours on a line along an axis. */
function withoutRepeats(path: readonly number[]): Float32Array {
  const points = Float32Array.from(path);
  const kept: number[] = [];
  const isNeedless = (before: number, middle: number, after: number): boolean => {
    const [x, y] = [kept.at(2 * middle), kept.at(2 * middle + 1)];
    const onColumn = x === kept.at(2 * before) && x === kept.at(2 * after);
    const onRow = y === kept.at(2 * before + 1) && y === kept.at(2 * after + 1);
    return onColumn || onRow || (x === kept.at(2 * before) && y === kept.at(2 * before + 1));
  };
  for (let i = 0; i < points.length; i += 2) {
    kept.push(points[i] ?? 0, points[i + 1] ?? 0);
    while (kept.length >= 6 && isNeedless(-3, -2, -1)) kept.splice(-4, 2);
  }
  while (kept.length >= 6 && isNeedless(-2, -1, 0)) kept.splice(-2);
  while (kept.length >= 6 && isNeedless(-1, 0, 1)) kept.splice(0, 2);
  return Float32Array.from(kept);
}
