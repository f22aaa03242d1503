import { beforeEach, describe, expect, test } from "vitest";
import type { Model, Prompts } from "../../src/api/types";
import type { Decoded, EncodedPicture } from "../../src/decoder/networks";
import { PictureDecoder } from "../../src/decoder/pictureDecoder";
import type { Tokens } from "../../src/decoder/steps";
import { Frame } from "../../src/geometry/frame";
import { RunLengths } from "../../src/geometry/rle";

const SIDE = 8;
const model: Model = {
  name: "tiny",
  fingerprint: "f",
  input_side: 32,
  logits_side: SIDE,
  embedding_shape: [1, 2, 2, 2],
  mask_threshold: 0,
};
const size = { width: 32, height: 32 };

/** Masks are so many columns from the left; readings of a click are not in the order of their size. */
class FakePicture implements EncodedPicture {
  readonly asked: { labels: number[]; fedBack: number | null }[] = [];
  isFreed = false;

  click(tokens: Tokens) {
    return this.#answer(tokens, null);
  }

  refine(tokens: Tokens, logits: Float32Array) {
    return this.#answer(tokens, logits.slice(0, SIDE).filter((logit) => logit > 0).length);
  }

  free() {
    this.isFreed = true;
  }

  #answer({ labels }: Tokens, fedBack: number | null): Promise<Decoded> {
    this.asked.push({ labels: [...labels], fedBack });
    const columns = [labels.length + (fedBack ?? 0), 6, 2, 4];
    const logits = Float32Array.from({ length: 4 * SIDE * SIDE }, (_, i) =>
      i % SIDE < (columns[Math.floor(i / SIDE ** 2)] ?? 0) ? 5 : -5,
    );
    return Promise.resolve({ logits, scores: Float32Array.of(0.9, 0.5, 0.25, 0.75) });
  }
}

let picture: FakePicture;
let decoder: PictureDecoder;
beforeEach(() => {
  picture = new FakePicture();
  decoder = new PictureDecoder(picture, new Frame(size.height, size.width, model.input_side), model);
});

const none: Prompts = { clicks: [], box: null, choice: null, base: null };
const clicks = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ x: i + 0.5, y: 3, positive: i % 2 === 0 }));
const answer = (prompts: Partial<Prompts>) => decoder.answer({ ...none, ...prompts });

describe("answers", () => {
  test("a lone click has three readings, the smallest first, and the best is chosen", async () => {
    const { candidates, chosen } = await answer({ clicks: clicks(1) });
    expect(candidates.map(({ area, score }) => [area, score])).toEqual([
      [8 * 32, 0.25],
      [16 * 32, 0.75],
      [24 * 32, 0.5],
    ]);
    expect(chosen).toBe(1);
    expect(candidates[0]).toMatchObject({ bounds: [0, 0, 8, 32], rings: [Float32Array.of(0, 0, 8, 0, 8, 32, 0, 32)] });
    expect(RunLengths.fromCounts(candidates[0]?.counts ?? "", size).area).toBe(8 * 32);
  });

  test("a choice counts from the smallest", async () => {
    for (const choice of [0, 1, 2]) expect((await answer({ clicks: clicks(1), choice })).chosen).toBe(choice);
    expect(picture.asked).toHaveLength(1);
  });

  test.each<[string, Partial<Prompts>, number[]]>([
    ["a box", { box: [1, 1, 9, 9] }, [2, 3]],
    ["a box and a click", { box: [1, 1, 9, 9], clicks: clicks(1) }, [1, 2, 3]],
  ])("%s has one", async (_, prompts, labels) => {
    const { candidates, chosen } = await answer(prompts);
    expect(candidates.map(({ score }) => score)).toEqual([Math.fround(0.9)]);
    expect(chosen).toBe(0);
    expect(picture.asked).toEqual([{ labels, fedBack: null }]);
  });

  test("a mask is refined, with a click or alone", async () => {
    const mask = new Uint8Array(32 * 32).map((_, i) => (i % 32 < 12 ? 1 : 0));
    const base = RunLengths.fromMask(mask, size).counts;
    await answer({ base, clicks: clicks(1) });
    expect((await answer({ base })).candidates).toHaveLength(1);
    expect(picture.asked).toEqual([
      { labels: [1, -1], fedBack: 3 },
      { labels: [], fedBack: 3 },
    ]);
  });

  test("a mask of nothing is an answer too", async () => {
    picture.click = () =>
      Promise.resolve({ logits: new Float32Array(4 * SIDE ** 2).fill(-1), scores: new Float32Array(4) });
    const { candidates } = await answer({ box: [1, 1, 9, 9] });
    expect(candidates[0]).toMatchObject({ area: 0, bounds: [0, 0, 0, 0], rings: [] });
  });
});

describe("steps", () => {
  test("each click is fed the mask of the step before, the first the reading that was chosen", async () => {
    await answer({ clicks: clicks(3) });
    // The best of the readings has 4 columns; the second step answers with 3 + 4.
    expect(picture.asked).toEqual([
      { labels: [1, -1], fedBack: null },
      { labels: [1, 0, -1], fedBack: 4 },
      { labels: [1, 0, 1, -1], fedBack: 7 },
    ]);
    picture.asked.length = 0;
    await answer({ clicks: clicks(2), choice: 2 });
    expect(picture.asked).toEqual([{ labels: [1, 0, -1], fedBack: 6 }]);
  });

  test("one more click is one more decoding, one less is none", async () => {
    for (let count = 1; count <= 4; count++) await answer({ clicks: clicks(count) });
    expect(picture.asked).toHaveLength(4);
    const before = await answer({ clicks: clicks(3) });
    expect(before.candidates[0]?.area).toBeGreaterThan(0);
    await answer({ clicks: clicks(1) });
    expect(picture.asked).toHaveLength(4);
  });

  test("what was shown is not computed again for the click on it", async () => {
    const shown = await decoder.hover({ x: 0.5, y: 3 });
    expect(shown.score).toBe(0.75);
    const { candidates, chosen } = await answer({ clicks: clicks(1) });
    expect(candidates[chosen]?.score).toBe(0.75);
    expect(picture.asked).toHaveLength(1);
    await decoder.hover({ x: 9, y: 9 });
    await answer({ clicks: clicks(2) });
    expect(picture.asked).toHaveLength(3);
  });

  test("memory is bounded: the steps longest unused are forgotten, never the last one", async () => {
    const box = (x: number) => ({ box: [0, 0, x, 9] as Prompts["box"] });
    // A step is 256 bytes of logits and less than that for its key.
    decoder = new PictureDecoder(picture, new Frame(32, 32, model.input_side), model, 1000);
    for (const x of [1, 2, 1, 3, 4]) await answer(box(x));
    expect(picture.asked).toHaveLength(4);
    for (const x of [1, 3, 4]) await answer(box(x));
    expect(picture.asked).toHaveLength(4);
    await answer(box(2));
    expect(picture.asked).toHaveLength(5);
    decoder = new PictureDecoder(picture, new Frame(32, 32, model.input_side), model, 0);
    for (const x of [1, 1]) await answer(box(x));
    expect(picture.asked).toHaveLength(6);
  });

  test("a failed step is not remembered", async () => {
    const genuine = picture.click.bind(picture);
    picture.click = () => Promise.reject(new Error("no"));
    await expect(answer({ clicks: clicks(1) })).rejects.toThrow("no");
    picture.click = genuine;
    expect((await answer({ clicks: clicks(1) })).candidates).toHaveLength(3);
  });
});

test("freeing frees the networks' part", () => {
  decoder.free();
  expect(picture.isFreed).toBe(true);
});
