import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Box, Prompts } from "../../src/api/types";
import { stepsOf, tokensOf } from "../../src/decoder/steps";
import { Frame } from "../../src/geometry/frame";

const size = { width: 200, height: 100 };
const none: Prompts = { clicks: [], box: null, choice: null, base: null };
const click = (x: number, y: number, positive = true) => ({ x, y, positive });
const box: Box = [10, 20, 110, 90];

describe("the steps of prompts", () => {
  test.each<[string, Prompts, number[], boolean]>([
    ["a lone click", { ...none, clicks: [click(1, 2)] }, [1], true],
    ["a lone negative click", { ...none, clicks: [click(1, 2, false)] }, [1], true],
    ["three clicks", { ...none, clicks: [click(1, 2), click(3, 4), click(5, 6)] }, [1, 2, 3], true],
    ["a box", { ...none, box }, [0], false],
    ["a box and two clicks", { ...none, box, clicks: [click(1, 2), click(3, 4)] }, [1, 2], false],
    ["a mask and a click", { ...none, base: "04L4", clicks: [click(1, 2)] }, [1], false],
    ["a mask alone", { ...none, base: "04L4" }, [0], false],
  ])("%s", (_, prompts, counts, isAmbiguous) => {
    const steps = stepsOf(prompts, size);
    expect(steps.map(({ clicks }) => clicks.length)).toEqual(counts);
    expect(steps.map((step) => step.isAmbiguous)).toEqual(counts.map((_count, i) => i === 0 && isAmbiguous));
    expect(steps.map((step) => step.base)).toEqual(counts.map((_count, i) => (i === 0 ? prompts.base : null)));
    expect(steps.every((step) => step.box === prompts.box || step.box?.join() === prompts.box?.join())).toBe(true);
  });

  test("further steps depend on the reading of a lone click, the first does not", () => {
    const clicks = [click(1, 2), click(3, 4)];
    const [a, b] = [0, 2].map((choice) => stepsOf({ ...none, clicks, choice }, size));
    expect(a?.[0].key).toBe(b?.[0].key);
    expect(a?.[1]?.key).not.toBe(b?.[1]?.key);
    const [c, d] = [0, 2].map((choice) => stepsOf({ ...none, clicks, box, choice }, size));
    expect(c?.[1]?.key).toBe(d?.[1]?.key);
  });

  test("the steps of more clicks begin with the steps of fewer", () => {
    const coordinate = fc.double({ min: 0, max: 100, noNaN: true });
    const clicks = fc.array(fc.record({ x: coordinate, y: coordinate, positive: fc.boolean() }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(clicks, fc.nat(), (all, n) => {
        const fewer = all.slice(0, 1 + (n % all.length));
        const keys = stepsOf({ ...none, clicks: all }, size).map(({ key }) => key);
        expect(new Set(keys).size).toBe(all.length);
        expect(stepsOf({ ...none, clicks: fewer }, size).map(({ key }) => key)).toEqual(keys.slice(0, fewer.length));
      }),
    );
  });

  test("a box is clipped to the picture", () => {
    expect(stepsOf({ ...none, box: [-5, -5, 300, 50] }, size)[0].box).toEqual([0, 0, 200, 50]);
  });

  test.each<[string, Prompts, string]>([
    ["nothing", none, "nothing to find an object with"],
    ["a box beside the picture", { ...none, box: [210, 0, 220, 10] }, "empty or outside"],
    ["a box without area", { ...none, box: [10, 10, 10, 50] }, "empty or outside"],
    ["a broken click", { ...none, clicks: [click(NaN, 1)] }, "no place in the picture"],
  ])("%s is refused", (_, prompts, message) => {
    expect(() => stepsOf(prompts, size)).toThrow(message);
  });
});

describe("the tokens of a step", () => {
  const frame = new Frame(size.height, size.width, 512);
  const tokens = (prompts: Partial<Prompts>) => {
    const { coords, labels } = tokensOf(stepsOf({ ...none, ...prompts }, size)[0], frame);
    return { coords: [...coords], labels: [...labels] };
  };

  test("a click is followed by a filler", () => {
    expect(tokens({ clicks: [click(50, 25)] })).toEqual({ coords: [128, 64, 0, 0], labels: [1, -1] });
  });

  test("corners of a box come after the clicks, without a filler", () => {
    expect(tokens({ clicks: [click(50, 25, false)], box })).toEqual({
      coords: [128, 64, ...[10, 20, 110, 90].map((value) => Math.fround(value * 2.56))],
      labels: [0, 2, 3],
    });
  });

  test("a mask alone has none", () => {
    expect(tokens({ base: "04L4" })).toEqual({ coords: [], labels: [] });
  });
});
