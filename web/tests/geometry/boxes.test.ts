import fc from "fast-check";
import { expect, it } from "vitest";
import { boxBetween, boxContains, clampPoint, isInside } from "../../src/geometry/boxes";

const SIZE = { width: 100, height: 50 };
const points = fc.record({
  x: fc.double({ min: -200, max: 300, noNaN: true }),
  y: fc.double({ min: -200, max: 300, noNaN: true }),
});

it("a box is the same from any two opposite corners, and lies in the picture", () => {
  fc.assert(
    fc.property(points, points, (a, b) => {
      const box = boxBetween(a, b, SIZE);
      expect(boxBetween(b, a, SIZE)).toEqual(box);
      expect(boxBetween({ x: a.x, y: b.y }, { x: b.x, y: a.y }, SIZE)).toEqual(box);
      if (box === null) return;
      expect(box[0]).toBeLessThan(box[2]);
      expect(box[1]).toBeLessThan(box[3]);
      expect(isInside({ x: box[0], y: box[1] }, SIZE) && isInside({ x: box[2], y: box[3] }, SIZE)).toBe(true);
    }),
  );
});

it("a box is cut to the picture, and there is none outside of it or without an extent", () => {
  expect(boxBetween({ x: 120, y: -5 }, { x: 90, y: 20 }, SIZE)).toEqual([90, 0, 100, 20]);
  expect(boxBetween({ x: 101, y: 0 }, { x: 120, y: 20 }, SIZE)).toBeNull();
  expect(boxBetween({ x: 5, y: 5 }, { x: 5, y: 20 }, SIZE)).toBeNull();
});

it("a point is brought into the picture by the shortest way", () => {
  expect(clampPoint({ x: -3, y: 60 }, SIZE)).toEqual({ x: 0, y: 50 });
  expect(clampPoint({ x: 7, y: 8 }, SIZE)).toEqual({ x: 7, y: 8 });
});

it("a box contains its border", () => {
  expect(boxContains([1, 2, 3, 4], { x: 3, y: 2 })).toBe(true);
  expect(boxContains([1, 2, 3, 4], { x: 3.1, y: 2 })).toBe(false);
});
