import type { Prompts } from "../../src/api/types";
import type { Answer, Backend, Candidate, Decoder, Preview } from "../../src/decoder/decoder";
import { traceMask } from "../../src/geometry/contours";
import { RunLengths } from "../../src/geometry/rle";
import type { Point, Size } from "../../src/geometry/shapes";

/** Half the side of the square that each reading of a lone click gives. */
const REACHES = [1, 3, 5];

/** A decoder whose masks are squares around clicks, and boxes; it answers when it is let. */
export class FakeDecoder implements Decoder {
  readonly asked: { picture: number; prompts: Prompts }[] = [];
  readonly pictures = new Map<number, Size>();
  hovers = 0;
  loads = 0;
  /** What the next answers fail with. */
  failure: Error | null = null;
  #gate: Promise<void> = Promise.resolve();

  /** Hold all answers back, until the function that is returned is called. */
  hold(): () => void {
    let open: () => void = () => undefined;
    this.#gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  load(): Promise<Backend> {
    this.loads++;
    this.pictures.clear();
    return Promise.resolve("wasm");
  }

  setPicture(picture: number, _: ArrayBuffer, size: Size): Promise<void> {
    this.pictures.set(picture, size);
    return Promise.resolve();
  }

  hasPicture(picture: number): boolean {
    return this.pictures.has(picture);
  }

  async hover(picture: number, point: Point): Promise<Preview | null> {
    this.hovers++;
    await this.#gate;
    return { rings: this.#candidate(picture, [{ ...point, positive: true }], 3).rings, score: 0.5 };
  }

  async preview(picture: number, prompts: Prompts): Promise<Preview | null> {
    await this.#gate;
    return { rings: this.answerAt(picture, prompts).candidates[0]?.rings ?? [], score: 0.5 };
  }

  async answer(picture: number, prompts: Prompts): Promise<Answer | null> {
    this.asked.push({ picture, prompts });
    await this.#gate;
    await Promise.resolve();
    if (this.failure) throw this.failure;
    if (!this.pictures.has(picture)) throw new Error("The decoder does not know the picture.");
    return this.answerAt(picture, prompts);
  }

  close(): void {
    this.pictures.clear();
  }

  /** What it answers to prompts. */
  answerAt(picture: number, prompts: Prompts): Answer {
    const isLone = prompts.clicks.length === 1 && prompts.box === null && prompts.base === null;
    if (isLone) {
      const candidates = REACHES.map((reach) => this.#candidate(picture, prompts.clicks, reach));
      return { candidates, chosen: prompts.choice ?? 1 };
    }
    return { candidates: [this.#candidate(picture, prompts.clicks, 2, prompts)], chosen: 0 };
  }

  #candidate(picture: number, clicks: Prompts["clicks"], reach: number, prompts?: Prompts): Candidate {
    const size = this.pictures.get(picture) ?? { width: 1, height: 1 };
    const base = prompts?.base
      ? RunLengths.fromCounts(prompts.base, size).window([0, 0, size.width, size.height])
      : null;
    const mask = base?.mask ?? new Uint8Array(size.width * size.height);
    const fill = (x0: number, y0: number, x1: number, y1: number, value: number) => {
      for (let y = Math.max(0, y0); y < Math.min(size.height, y1); y++) {
        for (let x = Math.max(0, x0); x < Math.min(size.width, x1); x++) mask[y * size.width + x] = value;
      }
    };
    if (prompts?.box) fill(...(prompts.box.map(Math.round) as [number, number, number, number]), 1);
    for (const { x, y, positive } of clicks) fill(x - reach, y - reach, x + reach, y + reach, positive ? 1 : 0);
    const runs = RunLengths.fromMask(mask, size);
    return {
      counts: runs.counts,
      area: runs.area,
      bounds: runs.bounds ?? [0, 0, 0, 0],
      score: reach / 10,
      rings: traceMask(runs),
    };
  }
}
