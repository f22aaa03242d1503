import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chamfer } from "../../src/canvas/chamfer";
import { coarsen, gridFor } from "../../src/canvas/coarsen";
import { boundsOf } from "../../src/canvas/paths";
import { traceMask } from "../../src/geometry/contours";
import { RunLengths } from "../../src/geometry/rle";
import type { Rings } from "../../src/geometry/shapes";

const ring = (...points: number[]) => new Float32Array(points);
const numbers = (rings: Rings) => rings.map((one) => [...one]);

/** Signed area: outer rings and holes have opposite signs. */
function area(rings: Rings): number {
  let sum = 0;
  for (const one of rings) {
    for (let i = 0; i < one.length; i += 2) {
      const next = (i + 2) % one.length;
      sum += ((one[i] ?? 0) * (one[next + 1] ?? 0) - (one[next] ?? 0) * (one[i + 1] ?? 0)) / 2;
    }
  }
  return Math.abs(sum);
}

const masks = fc
  .record({ width: fc.integer({ min: 1, max: 24 }), height: fc.integer({ min: 1, max: 24 }) })
  .chain((size) =>
    fc
      .uint8Array({ minLength: size.width * size.height, maxLength: size.width * size.height, max: 1 })
      .map((mask) => traceMask(RunLengths.fromMask(mask, size))),
  );

describe("gridFor", () => {
  it.each([
    [4, 1],
    [1, 1],
    [0.75, 1],
    [0.5, 1],
    [0.375, 2],
    [0.25, 2],
    [0.1, 4],
    [0.01, 64],
  ])("at scale %d is %d", (scale, grid) => {
    expect(gridFor(scale)).toBe(grid);
  });

  it("is off by at most three quarters of a screen pixel", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 100, noNaN: true }), (scale) => {
        const grid = gridFor(scale);
        expect(grid === 1 || grid * scale <= 0.75).toBe(true);
      }),
    );
  });
});

describe("coarsen", () => {
  it("keeps outlines as they are on the finest grid", () => {
    const rings = [ring(0, 0, 3, 0, 3, 3)];
    expect(coarsen(rings, 1)).toBe(rings);
  });

  it("drops points that fall together or lie on a line, also across the end of the ring", () => {
    const square = ring(4, 0, 8, 0, 8, 1, 9, 1, 9, 8, 1, 8, 1, 7, 0, 7, 0, 0);
    expect(numbers(coarsen([square], 4))).toEqual([[8, 0, 8, 8, 0, 8, 0, 0]]);
  });

  it("leaves out holes too small to be seen, but never the whole mask", () => {
    const outer = ring(0, 0, 64, 0, 64, 64, 0, 64);
    const hole = ring(30, 30, 30, 31, 31, 31, 31, 30);
    expect(coarsen([outer, hole], 8)).toHaveLength(1);
    expect(coarsen([hole], 8)).toEqual([hole]);
  });

  it("gives points of the grid, none twice in a row and none on a line between its neighbours", () => {
    fc.assert(
      fc.property(masks, fc.constantFrom(2, 4, 8), (rings, grid) => {
        const coarse = coarsen(rings, grid);
        if (coarse === rings) return;
        for (const one of coarse) {
          expect(one.length).toBeGreaterThanOrEqual(6);
          expect([...one].every((value) => value % grid === 0)).toBe(true);
          const points: (readonly [number, number])[] = [];
          for (let i = 0; i < one.length; i += 2) points.push([one[i] ?? 0, one[i + 1] ?? 0]);
          points.forEach(([x, y], i) => {
            const [px, py] = points.at(i - 1) ?? [0, 0];
            const [nx, ny] = points[(i + 1) % points.length] ?? [0, 0];
            expect((x - px) * (ny - y) === (y - py) * (nx - x)).toBe(false);
          });
        }
      }),
    );
  });
});

describe("chamfer", () => {
  it("makes a line of stairs and cuts corners by half a pixel", () => {
    const stairs = ring(0, 0, 1, 0, 1, 1, 2, 1, 2, 2, 3, 2, 3, 3, 0, 3);
    const cut = [0.5, 0, 1, 0.5, 1.5, 1, 2, 1.5, 2.5, 2, 3, 2.5, 2.5, 3, 0.5, 3, 0, 2.5, 0, 0.5];
    expect(numbers(chamfer([stairs], 1))).toEqual([cut]);
  });

  it("keeps the mask's area but for an eighth of a pixel a corner, and never leaves its bounds", () => {
    fc.assert(
      fc.property(masks, (rings) => {
        const cut = chamfer(rings, 1);
        const corners = rings.reduce((count, one) => count + one.length / 2, 0);
        expect(Math.abs(area(cut) - area(rings))).toBeLessThanOrEqual(corners / 8 + 1e-4);
        if (rings.length === 0) return;
        const [x0, y0, x1, y1] = boundsOf(rings);
        const [cx0, cy0, cx1, cy1] = boundsOf(cut);
        expect(cx0 >= x0 && cy0 >= y0 && cx1 <= x1 && cy1 <= y1).toBe(true);
      }),
    );
  });
});
