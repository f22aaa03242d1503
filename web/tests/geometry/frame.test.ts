import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../../src/geometry/frame";
import { encodeMask, RunLengths } from "../../src/geometry/rle";
import { at, drawnMasks } from "./masks";

const GRID = 8;
const SIDE = 32;

/** Bilinear resizing with half-pixel centres, one number after the other, in double precision. */
function resize(values: number[][], height: number, width: number): number[][] {
  const [rows, columns] = [
    values.length,
    at(
      values.map((row) => row.length),
      0,
    ),
  ];
  const place = (i: number, source: number, target: number): [number, number, number] => {
    const position = Math.max(0, ((i + 0.5) * source) / target - 0.5);
    const low = Math.min(Math.floor(position), source - 1);
    return [low, Math.min(low + 1, source - 1), position - low];
  };
  const read = (y: number, x: number): number => at(values[y] ?? [], x);
  return Array.from({ length: height }, (_, y) => {
    const [top, bottom, down] = place(y, rows, height);
    return Array.from({ length: width }, (_, x) => {
      const [left, right, across] = place(x, columns, width);
      const above = read(top, left) * (1 - across) + read(top, right) * across;
      const below = read(bottom, left) * (1 - across) + read(bottom, right) * across;
      return above * (1 - down) + below * down;
    });
  });
}

const frames = fc
  .record({ height: fc.integer({ min: 1, max: 40 }), width: fc.integer({ min: 1, max: 40 }) })
  .map(({ height, width }) => new Frame(height, width, SIDE));
// No logit is near zero, and so few pixels lie between both sides that rounding could decide of them.
const grids = fc
  .array(fc.integer({ min: -99, max: 99 }), { minLength: GRID * GRID, maxLength: GRID * GRID })
  .map((values) => Float32Array.from(values, (value) => value + 0.37));

describe("the frame", () => {
  it("rounds the scaled picture as the model's package does", () => {
    const frame = new Frame(1500, 2250, 1024);
    expect([frame.inputHeight, frame.inputWidth]).toEqual([683, 1024]);
    expect(new Frame(2000, 1, 512).inputWidth).toBe(1);
    expect(new Frame(333, 1000, 1024).inputHeight).toBe(341);
  });

  it("maps points there and back", () => {
    fc.assert(
      fc.property(
        frames,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (frame, u, v) => {
          const point = { x: u * frame.width, y: v * frame.height };
          const back = frame.fromModel(frame.toModel(point));
          expect(back.x).toBeCloseTo(point.x, 4);
          expect(back.y).toBeCloseTo(point.y, 4);
        },
      ),
    );
  });

  it.each([
    [0, 5, 32],
    [5, -1, 32],
    [5, 5, 0],
    [5.5, 5, 32],
    [NaN, 5, 32],
  ])("refuses a height of %d, a width of %d and a side of %d", (height, width, side) => {
    expect(() => new Frame(height, width, side)).toThrow(RangeError);
  });
});

describe("logits at the picture's size", () => {
  it("are thresholded as if all of them had been interpolated", () => {
    fc.assert(
      fc.property(frames, grids, (frame, logits) => {
        const rows = Array.from({ length: GRID }, (_, r) => Array.from(logits.slice(r * GRID, (r + 1) * GRID)));
        const full = resize(rows, SIDE, SIDE)
          .slice(0, frame.inputHeight)
          .map((row) => row.slice(0, frame.inputWidth));
        const restored = resize(full, frame.height, frame.width).flat();
        const drawn = frame.logitsToRuns(logits, GRID).window([0, 0, frame.width, frame.height]).mask;
        restored.forEach((logit, i) => {
          if (Math.abs(logit) > 1e-3) expect(drawn[i]).toBe(logit > 0 ? 1 : 0);
        });
      }),
    );
  });

  it("give the same mask as a window and as run lengths", () => {
    fc.assert(
      fc.property(frames, grids, fc.integer({ min: -50, max: 50 }), (frame, logits, threshold) => {
        const window = frame.logitsToMask(logits, GRID, threshold);
        const runs = frame.logitsToRuns(logits, GRID, threshold);
        expect(RunLengths.fromWindow(window.mask, window.bounds, frame.size).counts).toBe(runs.counts);
        expect(encodeMask(runs.window([0, 0, frame.width, frame.height]).mask, frame.size)).toBe(runs.counts);
      }),
    );
  });

  it("of another size are refused", () => {
    expect(() => new Frame(5, 5, SIDE).logitsToRuns(new Float32Array(9), GRID)).toThrow("not a grid of 8 x 8");
  });
});

describe("a mask as a prompt", () => {
  it("has logits by how much of each cell it covers", () => {
    const frame = new Frame(32, 32, 32);
    const mask = RunLengths.fromWindow(new Uint8Array(4 * 6).fill(1), [4, 4, 8, 10], frame.size);
    const logits = frame.maskToLogits(mask.window(), GRID);
    expect([at(logits, GRID + 1), at(logits, 2 * GRID + 1), at(logits, 0)]).toEqual([10, 0, -10]);
  });

  it("weighs as much as the mask, and padding is background", () => {
    const framed = drawnMasks.map(({ mask, size }) => ({
      mask,
      size,
      frame: new Frame(size.height, size.width, SIDE),
    }));
    fc.assert(
      fc.property(framed, ({ mask, size, frame }) => {
        const runs = RunLengths.fromMask(mask, size);
        const logits = frame.maskToLogits(runs.window(), GRID);
        const { x, y } = frame.ratios;
        const cell = SIDE / GRID;
        const inside = (i: number, ratio: number, length: number): number =>
          Math.min(((i + 1) * cell) / ratio, length) - Math.min((i * cell) / ratio, length);
        let covered = 0;
        logits.forEach((logit, i) => {
          const area = inside(i % GRID, x, size.width) * inside(Math.floor(i / GRID), y, size.height);
          if (area === 0) expect(logit).toBe(-10);
          covered += ((logit / 10 + 1) / 2) * area;
        });
        expect(covered).toBeCloseTo(runs.area, 3);
      }),
    );
  });
});
