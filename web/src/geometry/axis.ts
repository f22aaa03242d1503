/** Bilinear interpolation along one axis: output i is `source[low] + weight * (source[high] - source[low])`. */
interface Taps {
  low: Int32Array;
  high: Int32Array;
  weight: Float32Array;
}

/** What bilinear resizing from `source` to `target` samples reads, with half-pixel centres, in 32-bit arithmetic. */
function bilinearTaps(source: number, target: number): Taps {
  const round = Math.fround;
  const taps = { low: new Int32Array(target), high: new Int32Array(target), weight: new Float32Array(target) };
  const scale = round(round(source) / round(target));
  for (let i = 0; i < target; i++) {
    const position = Math.max(0, round(round(round(i + 0.5) * scale) - 0.5));
    const low = Math.min(Math.trunc(position), source - 1);
    taps.low[i] = low;
    taps.high[i] = Math.min(low + 1, source - 1);
    taps.weight[i] = position - low;
  }
  return taps;
}

/**
 * One axis on its way from the low-resolution grid over the model's input to the picture.
 *
 * Both resizings are linear, so that each output is a weighted sum of a few neighbouring cells of the grid.
 */
export class Axis {
  /** Samples of the picture along this axis. */
  readonly length: number;
  /** Weights of each output, the first for cell `first[i]`. */
  readonly taps: number;
  /** The first and the last cell of the grid that each output depends on; neither ever falls. */
  readonly first: Int32Array;
  readonly last: Int32Array;
  /** `[length, taps]`. */
  readonly weights: Float32Array;
  /** Stretches of outputs that depend on the same cells: where each begins, and at the end the axis's length. */
  readonly stretches: Int32Array;

  /**
   * @param grid - cells of the grid along the model's whole input.
   * @param side - samples of the model's input.
   * @param used - of these, the samples that the picture fills.
   * @param length - samples of the picture.
   */
  constructor(grid: number, side: number, used: number, length: number) {
    const toSide = bilinearTaps(grid, side);
    const toFull = bilinearTaps(used, length);
    this.length = length;
    this.first = toFull.low.map((sample) => toSide.low[sample] ?? 0);
    this.last = toFull.high.map((sample) => toSide.high[sample] ?? 0);
    this.taps = this.last.reduce((most, last, i) => Math.max(most, last - (this.first[i] ?? 0) + 1), 1);
    this.weights = new Float32Array(length * this.taps);
    const stretches = [];
    for (let i = 0; i < length; i++) {
      this.#weigh(i, toSide, toFull);
      if (this.first[i] !== this.first[i - 1] || this.last[i] !== this.last[i - 1]) stretches.push(i);
    }
    this.stretches = Int32Array.from([...stretches, length]);
  }

  /** Cells of the grid that outputs depend on. */
  get reach(): number {
    return (this.last[this.length - 1] ?? 0) + 1;
  }

  /** Outputs from the first to the last that depend on any of the cells from `from` to `to` (inclusive). */
  reached(from: number, to: number): [number, number] {
    return [countBelow(this.last, from), countBelow(this.first, to + 1)];
  }

  #weigh(i: number, toSide: Taps, toFull: Taps): void {
    const round = Math.fround;
    const [first, weight] = [this.first[i] ?? 0, toFull.weight[i] ?? 0];
    const part = (sample: number, cell: number): number => {
      const share = toSide.weight[sample] ?? 0;
      const low = cell === toSide.low[sample] ? round(1 - share) : 0;
      return cell === toSide.high[sample] ? round(low + share) : low;
    };
    for (let t = 0; t < this.taps; t++) {
      const low = part(toFull.low[i] ?? 0, first + t);
      const high = part(toFull.high[i] ?? 0, first + t);
      const step = round(high - low);
      // From the nearer end, and rounded once, as torch.lerp does it.
      const mixed = weight < 0.5 ? low + weight * step : high + round(weight - 1) * step;
      this.weights[i * this.taps + t] = mixed;
    }
  }
}

/** How many numbers of a rising array are below a value. */
function countBelow(rising: Int32Array, value: number): number {
  let low = 0;
  let high = rising.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rising[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
