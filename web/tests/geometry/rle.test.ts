import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  area,
  bounds,
  contains,
  decodeCounts,
  decodeMask,
  encodeCounts,
  encodeMask,
  encodeWindow,
  RunLengths,
  RunLengthsError,
  union,
} from "../../src/geometry/rle";
import type { Bounds, Size } from "../../src/geometry/shapes";
import { at, drawnMasks, drawnPairs, type Drawn } from "./masks";

function read({ mask, size }: Drawn): RunLengths {
  return RunLengths.fromMask(mask, size);
}

function tightBox(mask: Uint8Array, size: Size): Bounds | null {
  const on = Array.from(mask.keys()).filter((i) => mask[i]);
  if (on.length === 0) return null;
  const columns = on.map((i) => i % size.width);
  const rows = on.map((i) => Math.floor(i / size.width));
  return [Math.min(...columns), Math.min(...rows), Math.max(...columns) + 1, Math.max(...rows) + 1];
}

describe("compressed run lengths", () => {
  it("are those of pycocotools", () => {
    expect(Array.from(decodeCounts("52203"))).toEqual([5, 2, 2, 2, 5]);
    expect(encodeCounts([5, 2, 2, 2, 5])).toBe("52203");
    expect(encodeCounts([0, 6])).toBe("06");
    expect(encodeCounts([12_000_000])).toBe("PhV^;");
  });

  it("give back what they were made of", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffffffff })), (runs) => {
        expect(Array.from(decodeCounts(encodeCounts(runs)))).toEqual(runs);
      }),
    );
  });

  it.each(["5 2", "52203é", "P", "é", "ooooooooooooooooo0", "O"])("that are damaged are refused: %s", (counts) => {
    expect(() => decodeCounts(counts)).toThrow(RunLengthsError);
  });

  it("that do not fill the picture are refused, with both sizes", () => {
    expect(() => RunLengths.fromCounts("52203", { width: 4, height: 5 })).toThrow(
      "A mask of 16 pixels does not fit a picture of 4 x 5.",
    );
  });
});

describe("a mask", () => {
  it("comes back from its run lengths", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        expect(decodeMask(encodeMask(mask, size), size)).toEqual(mask);
      }),
    );
  });

  it("has the same run lengths whether the whole or only a window of it is known", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        const whole = RunLengths.fromMask(mask, size);
        const window = whole.window();
        expect(encodeWindow(window.mask, window.bounds, size)).toBe(whole.counts);
        expect(window.bounds).toEqual(tightBox(mask, size) ?? [0, 0, 0, 0]);
      }),
    );
  });

  it("has one form only, however its runs are cut", () => {
    const size = { width: 4, height: 4 };
    const runs = RunLengths.fromRuns([0, 0, 5, 2, 0, 1, 8, 0], size);
    expect(runs.counts).toBe(encodeCounts([5, 3, 8]));
    expect(RunLengths.fromRuns([16, 0], size).counts).toBe(encodeCounts([16]));
    expect(RunLengths.fromRuns([0, 16], size).counts).toBe(encodeCounts([0, 16]));
  });

  it("knows its area, its box and what it contains", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        const counts = encodeMask(mask, size);
        expect(area(counts)).toBe(mask.reduce((sum, on) => sum + on, 0));
        expect(RunLengths.fromCounts(counts, size).area).toBe(area(counts));
        expect(bounds(counts, size)).toEqual(tightBox(mask, size));
        const whole = RunLengths.fromCounts(counts, size);
        mask.forEach((on, i) => {
          const point = { x: (i % size.width) + 0.99, y: Math.floor(i / size.width) };
          expect(whole.contains(point)).toBe(on === 1);
        });
      }),
    );
  });

  it("contains nothing outside of the picture", () => {
    const size = { width: 3, height: 2 };
    const counts = encodeCounts([0, 6]);
    for (const [x, y] of [
      [-0.1, 0],
      [0, -0.1],
      [3, 1],
      [1, 2],
      [NaN, 0],
    ] as const) {
      expect(contains(counts, size, { x, y })).toBe(false);
    }
    expect(contains(counts, size, { x: 2.9, y: 1.9 })).toBe(true);
  });

  it("is drawn in any rectangle", () => {
    const rectangles = drawnMasks.chain((drawn) =>
      fc
        .tuple(fc.nat(drawn.size.width), fc.nat(drawn.size.width), fc.nat(drawn.size.height), fc.nat(drawn.size.height))
        .map(([xa, xb, ya, yb]): [Drawn, Bounds] => [
          drawn,
          [Math.min(xa, xb), Math.min(ya, yb), Math.max(xa, xb), Math.max(ya, yb)],
        ]),
    );
    fc.assert(
      fc.property(rectangles, ([drawn, rectangle]) => {
        const [x0, y0, x1, y1] = rectangle;
        const window = read(drawn).window(rectangle);
        const expected = [];
        for (let y = y0; y < y1; y++) {
          for (let x = x0; x < x1; x++) expected.push(at(drawn.mask, y * drawn.size.width + x));
        }
        expect(Array.from(window.mask)).toEqual(expected);
      }),
    );
  });

  it("is not drawn outside of the picture", () => {
    const mask = RunLengths.fromRuns([6], { width: 3, height: 2 });
    expect(() => mask.window([0, 0, 4, 2])).toThrow(RangeError);
    expect(() => RunLengths.fromWindow(new Uint8Array(4), [2, 0, 4, 2], mask.size)).toThrow(RangeError);
    expect(() => RunLengths.fromWindow(new Uint8Array(3), [0, 0, 2, 2], mask.size)).toThrow(RangeError);
  });
});

describe("two masks", () => {
  it("share and unite the pixels that they have", () => {
    fc.assert(
      fc.property(drawnPairs, ([a, b]) => {
        const both = a.mask.filter((on, i) => on && b.mask[i]).length;
        const any = a.mask.map((on, i) => on | at(b.mask, i));
        const total = any.filter((on) => on).length;
        expect(read(a).overlap(read(b))).toBe(both);
        expect(read(a).iou(read(b))).toBe(total === 0 ? 0 : both / total);
        expect(union([read(a), read(b)], a.size).counts).toBe(encodeMask(any, a.size));
      }),
    );
  });

  it("of different sizes share nothing", () => {
    const tall = RunLengths.fromRuns([0, 6], { width: 2, height: 3 });
    const wide = RunLengths.fromRuns([0, 6], { width: 3, height: 2 });
    expect(tall.iou(wide)).toBe(0);
  });
});

describe("the union", () => {
  it("of no mask is empty, and of many what any has", () => {
    const size = { width: 5, height: 5 };
    expect(union([], size).area).toBe(0);
    const pixels = Array.from({ length: 25 }, (_, i) => RunLengths.fromRuns([i, 1, 24 - i], size));
    expect(union(pixels.reverse(), size).counts).toBe(encodeCounts([0, 25]));
  });
});
