import { describe, expect, it } from "vitest";
import { nearestPoint, smallestAt } from "../../src/geometry/hits";
import { RunLengths } from "../../src/geometry/rle";
import type { Bounds } from "../../src/geometry/shapes";

const SIZE = { width: 20, height: 20 };

function rectangle(bounds: Bounds): RunLengths {
  const pixels = (bounds[2] - bounds[0]) * (bounds[3] - bounds[1]);
  return RunLengths.fromWindow(new Uint8Array(pixels).fill(1), bounds, SIZE);
}

describe("the nearest point", () => {
  const points = [
    { x: 10, y: 10 },
    { x: 14, y: 10 },
    { x: 14, y: 10 },
  ];

  it("is found within the distance, the later of two in one place", () => {
    expect(nearestPoint(points, { x: 11, y: 10 }, 8)).toBe(0);
    expect(nearestPoint(points, { x: 13, y: 10 }, 8)).toBe(2);
    expect(nearestPoint(points, { x: 10, y: 13 }, 3)).toBe(0);
  });

  it("is none beyond it, and none of none", () => {
    expect(nearestPoint(points, { x: 10, y: 13.1 }, 3)).toBeNull();
    expect(nearestPoint([], { x: 0, y: 0 }, 1e9)).toBeNull();
  });
});

describe("the smallest mask under a point", () => {
  const masks: [string, RunLengths][] = [
    ["window", rectangle([4, 4, 8, 8])],
    ["house", rectangle([0, 0, 12, 12])],
    ["shutter", rectangle([6, 4, 10, 8])],
  ];

  it("is found, the later of two of one size", () => {
    expect(smallestAt(masks, { x: 5, y: 5 })).toBe("window");
    expect(smallestAt(masks, { x: 7, y: 5 })).toBe("shutter");
    expect(smallestAt(masks, { x: 1, y: 1 })).toBe("house");
  });

  it("is none where there is no mask", () => {
    expect(smallestAt(masks, { x: 15, y: 15 })).toBeNull();
    expect(smallestAt(masks, { x: -1, y: 5 })).toBeNull();
  });
});
