import type { Model, Prompts } from "../api/types";
import { traceMask } from "../geometry/contours";
import type { Frame } from "../geometry/frame";
import { traceLevel } from "../geometry/levels";
import { RunLengths } from "../geometry/rle";
import type { Point } from "../geometry/shapes";
import type { Answer, Candidate, Preview } from "./decoder";
import type { EncodedPicture } from "./networks";
import { stepsOf, tokensOf, type Step } from "./steps";

/** Bytes of logits that are remembered for each picture. */
const MEMORY_LIMIT = 16 * 2 ** 20;

/** The answer to one step: one mask, or three readings of a lone click in the network's order. */
interface Remembered {
  logits: Float32Array[];
  scores: number[];
  /**
   * The masks at the picture's size, from the smallest to the largest and equal ones best first, each with its place in
   * the network's order.
   */
  candidates: { index: number; candidate: Candidate }[] | null;
}

/**
 * Answers prompts on one picture, step by step, and remembers the steps: one more click is one more decoding, and
 * taking the last one back is none.
 */
export class PictureDecoder {
  readonly #networks: EncodedPicture;
  readonly #frame: Frame;
  readonly #model: Model;
  /** By the key of the step; the longest unused first. */
  readonly #steps = new Map<string, Remembered>();
  readonly #memoryLimit: number;
  #bytes = 0;
  /** What was shown last; a click where the pointer rests is this one. */
  #shown: { key: string; remembered: Remembered } | null = null;

  constructor(networks: EncodedPicture, frame: Frame, model: Model, memoryLimit = MEMORY_LIMIT) {
    this.#memoryLimit = memoryLimit;
    this.#networks = networks;
    this.#frame = frame;
    this.#model = model;
  }

  hover(point: Point): Promise<Preview> {
    return this.preview({ clicks: [{ ...point, positive: true }], box: null, choice: null, base: null });
  }

  async preview(prompts: Prompts): Promise<Preview> {
    const { remembered, step } = await this.#answer(prompts);
    this.#shown = { key: step.key, remembered };
    const index = this.#chosenIndex(remembered, prompts.choice);
    const { logits_side: grid, mask_threshold: threshold } = this.#model;
    const rings = traceLevel(remembered.logits[index] ?? new Float32Array(0), grid, threshold, this.#frame);
    return { rings, score: remembered.scores[index] ?? 0 };
  }

  async answer(prompts: Prompts): Promise<Answer> {
    const { remembered, step } = await this.#answer(prompts);
    this.#remember(step.key, remembered);
    const index = this.#chosenIndex(remembered, prompts.choice);
    const candidates = this.#candidates(remembered);
    return {
      candidates: candidates.map(({ candidate }) => candidate),
      chosen: candidates.findIndex((one) => one.index === index),
    };
  }

  free(): void {
    this.#networks.free();
    this.#steps.clear();
    this.#shown = null;
  }

  /** Answer the last step, from the last one that is remembered. */
  async #answer(prompts: Prompts): Promise<{ remembered: Remembered; step: Step }> {
    const steps = stepsOf(prompts, this.#frame.size);
    const known = Math.max(
      0,
      steps.findLastIndex(({ key }) => this.#recall(key) !== undefined),
    );
    let step = steps[known] ?? steps[0];
    let remembered = this.#recall(step.key) ?? (await this.#decode(step, this.#baseLogits(prompts.base)));
    for (const next of steps.slice(known + 1)) {
      this.#remember(step.key, remembered);
      remembered = await this.#decode(next, remembered.logits[this.#chosenIndex(remembered, prompts.choice)] ?? null);
      step = next;
    }
    return { remembered, step };
  }

  async #decode(step: Step, fedBack: Float32Array | null): Promise<Remembered> {
    const tokens = tokensOf(step, this.#frame);
    const decoded = await (fedBack === null ? this.#networks.click(tokens) : this.#networks.refine(tokens, fedBack));
    const size = this.#model.logits_side ** 2;
    const wanted = step.isAmbiguous ? [1, 2, 3] : [0];
    return {
      logits: wanted.map((i) => decoded.logits.slice(i * size, (i + 1) * size)),
      scores: wanted.map((i) => decoded.scores[i] ?? 0),
      candidates: null,
    };
  }

  #baseLogits(base: string | null): Float32Array | null {
    if (base === null) return null;
    const mask = RunLengths.fromCounts(base, this.#frame.size);
    return this.#frame.maskToLogits(mask.window(), this.#model.logits_side);
  }

  /** Which mask prompts with this choice mean: it counts from the smallest, and without one the best is meant. */
  #chosenIndex(remembered: Remembered, choice: number | null): number {
    if (remembered.scores.length === 1) return 0;
    if (choice !== null) return this.#candidates(remembered)[choice]?.index ?? 0;
    return remembered.scores.indexOf(Math.max(...remembered.scores));
  }

  #candidates(remembered: Remembered): NonNullable<Remembered["candidates"]> {
    return (remembered.candidates ??= remembered.logits
      .map((logits, index) => ({ index, candidate: this.#restore(logits, remembered.scores[index] ?? 0) }))
      .sort(({ candidate: a }, { candidate: b }) => a.area - b.area || b.score - a.score));
  }

  #restore(logits: Float32Array, score: number): Candidate {
    const mask = this.#frame.logitsToRuns(logits, this.#model.logits_side, this.#model.mask_threshold);
    const { counts, area } = mask;
    return { counts, area, bounds: mask.bounds ?? [0, 0, 0, 0], score, rings: traceMask(mask) };
  }

  #recall(key: string): Remembered | undefined {
    return this.#shown?.key === key ? this.#shown.remembered : this.#steps.get(key);
  }

  /** Keep a step, as the one used last. */
  #remember(key: string, remembered: Remembered): void {
    if (!this.#steps.delete(key)) this.#bytes += bytesOf(key, remembered);
    this.#steps.set(key, remembered);
    for (const [oldest, forgotten] of this.#steps) {
      if (this.#bytes <= this.#memoryLimit || oldest === key) break;
      this.#steps.delete(oldest);
      this.#bytes -= bytesOf(oldest, forgotten);
    }
  }
}

function bytesOf(key: string, { logits }: Remembered): number {
  return logits.reduce((sum, { byteLength }) => sum + byteLength, 2 * key.length);
}
