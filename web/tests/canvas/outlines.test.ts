import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chamfer } from "../../src/canvas/chamfer";
import { boundsOf, toleranceFor } from "../../src/canvas/paths";
import { simplify } from "../../src/canvas/simplify";
import { smooth } from "../../src/canvas/smooth";
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

describe("toleranceFor", () => {
  it.each([
    [4, 0.0625],
    [1, 0.25],
    [0.375, 1],
    [0.25, 1],
    [0.1, 2],
    [0.01, 32],
  ])("at scale %d is %d", (scale, tolerance) => {
    expect(toleranceFor(scale)).toBe(tolerance);
  });

  it("is hardly seen, and no smaller than that needs", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 100, noNaN: true }), (scale) => {
        const seen = toleranceFor(scale) * scale;
        expect(seen <= 0.375 && seen > 0.1875).toBe(true);
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

type Place = readonly [x: number, y: number];

function placesOf(one: Float32Array): Place[] {
  return Array.from({ length: one.length / 2 }, (_, i) => [one[2 * i] ?? 0, one[2 * i + 1] ?? 0]);
}

/** How far a point is from the lines between successive points of a ring. */
function distanceTo(one: Float32Array, [x, y]: Place): number {
  const places = placesOf(one);
  const distances = places.map(([ax, ay], i) => {
    const [bx, by] = places[(i + 1) % places.length] ?? [0, 0];
    const [dx, dy] = [bx - ax, by - ay];
    const square = dx * dx + dy * dy;
    const share = square === 0 ? 0 : Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / square, 0), 1);
    return Math.hypot(ax + share * dx - x, ay + share * dy - y);
  });
  return Math.min(...distances);
}

describe("simplify", () => {
  it("makes one line of a slope of stairs, and keeps corners", () => {
    const slope = Array.from({ length: 40 }, (_, i) => [i, Math.floor(i / 4) + (i % 4) / 8]).flat();
    const [kept] = simplify([ring(...slope, 39, 40, 0, 40)], 0.5);
    expect([...(kept ?? [])]).toEqual([0, 0, 39, expect.closeTo(9.375, 5), 39, 40, 0, 40]);
  });

  it("leaves out only points that lie beside the lines that remain, and adds none", () => {
    fc.assert(
      fc.property(masks, fc.constantFrom(0.1, 0.3, 1), (rings, tolerance) => {
        for (const outline of chamfer(rings, 1)) {
          const [kept = outline] = simplify([outline], tolerance);
          const all = placesOf(outline);
          const known = new Set(all.map(String));
          expect(kept.length).toBeLessThanOrEqual(outline.length);
          expect(placesOf(kept).every((place) => known.has(String(place)))).toBe(true);
          // A line may end short of a point by the tolerance, beside being off to the side.
          for (const place of all) expect(distanceTo(kept, place)).toBeLessThanOrEqual(1.5 * tolerance);
        }
      }),
    );
  });

  it("leaves out holes too small to be seen, but never the whole mask", () => {
    const outer = ring(0, 0, 64, 0, 64, 64, 0, 64);
    const hole = ring(30, 30, 30, 31, 31, 31, 31, 30);
    expect(simplify([outer, hole], 2)).toEqual([outer]);
    expect(simplify([hole], 2)).toEqual([hole]);
  });

  it("keeps spikes that turn back", () => {
    const spike = ring(0, 0, 10, 0.1, 1, 0.2, 1, 9, 0, 9);
    expect(simplify([spike], 0.5)).toEqual([spike]);
  });
});

describe("smooth", () => {
  it("goes through the middles of the edges, and past the corners halfway between", () => {
    const [rounded] = smooth([ring(0, 0, 8, 0, 8, 8, 0, 8)], 1);
    expect([...(rounded ?? [])]).toEqual([0, 4, 1, 1, 4, 0, 7, 1, 8, 4, 7, 7, 4, 8, 1, 7]);
  });

  it("is as near to the curve as is asked, and needs fewer lines where less is asked", () => {
    fc.assert(
      fc.property(masks, (rings) => {
        const fine = smooth(rings, 1e-3);
        smooth(rings, 0.05).forEach((rough, i) => {
          const exact = fine[i] ?? ring();
          expect(rough.length).toBeLessThan(exact.length);
          for (const place of placesOf(exact)) expect(distanceTo(rough, place)).toBeLessThanOrEqual(0.051);
        });
      }),
    );
  });
});
