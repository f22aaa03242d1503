import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { traceMask } from "../../src/geometry/contours";
import { RunLengths } from "../../src/geometry/rle";
import { at, drawnMasks, fill, signedArea } from "./masks";

function trace(rows: string[]): number[][] {
  const mask = Uint8Array.from(rows.join(""), (symbol) => (symbol === "#" ? 1 : 0));
  const size = {
    width: at(
      rows.map((row) => row.length),
      0,
    ),
    height: rows.length,
  };
  return traceMask(RunLengths.fromMask(mask, size)).map((ring) => Array.from(ring));
}

describe("the outline of a mask", () => {
  it("gives the mask back when it is filled", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        expect(fill(traceMask(RunLengths.fromMask(mask, size)), size)).toEqual(mask);
      }),
      { numRuns: 300 },
    );
  });

  it("encloses as much as the mask has, outer rings clockwise and holes the other way round", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        const runs = RunLengths.fromMask(mask, size);
        expect(traceMask(runs).reduce((sum, ring) => sum + signedArea(ring), 0)).toBe(runs.area);
      }),
    );
  });

  it("turns a right angle at each of its points", () => {
    fc.assert(
      fc.property(drawnMasks, ({ mask, size }) => {
        for (const ring of traceMask(RunLengths.fromMask(mask, size))) {
          const count = ring.length / 2;
          for (let i = 0; i < count; i++) {
            const [a, b, c] = [i, (i + 1) % count, (i + 2) % count];
            const [dx, dy] = [at(ring, 2 * b) - at(ring, 2 * a), at(ring, 2 * b + 1) - at(ring, 2 * a + 1)];
            const [ex, ey] = [at(ring, 2 * c) - at(ring, 2 * b), at(ring, 2 * c + 1) - at(ring, 2 * b + 1)];
            expect(dx * ex + dy * ey).toBeCloseTo(0);
            expect(Math.abs(dx * ey - dy * ex)).toBeGreaterThan(0);
          }
        }
      }),
    );
  });

  it("of a full picture is its border", () => {
    expect(trace(["###", "###"])).toEqual([[0, 0, 3, 0, 3, 2, 0, 2]]);
  });

  it("of nothing is nothing", () => {
    expect(trace(["...", "..."])).toEqual([]);
  });

  it("has a ring for a hole", () => {
    const rings = trace(["###", "#.#", "###"]);
    expect(rings).toHaveLength(2);
    expect(rings.map((ring) => signedArea(Float32Array.from(ring)))).toEqual([9, -1]);
  });

  it("keeps pixels apart that touch in a corner alone", () => {
    expect(trace(["#.", ".#"])).toHaveLength(2);
    expect(trace([".#", "#."])).toHaveLength(2);
  });
});
