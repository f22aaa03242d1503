import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../../src/geometry/frame";
import { traceLevel } from "../../src/geometry/levels";
import { at, fill, signedArea } from "./masks";

const GRID = 8;

/** Logits of a disc about the middle of the model's input, positive inside. */
function disc(grid: number, radius: number): Float32Array {
  return Float32Array.from({ length: grid * grid }, (_, i) => {
    const [x, y] = [(i % grid) + 0.5 - grid / 2, Math.floor(i / grid) + 0.5 - grid / 2];
    return radius - Math.hypot(x, y);
  });
}

const frames = fc
  .record({ height: fc.integer({ min: 1, max: 40 }), width: fc.integer({ min: 1, max: 40 }) })
  .map(({ height, width }) => new Frame(height, width, 4 * GRID));
const grids = fc
  .array(fc.integer({ min: -3, max: 3 }), { minLength: GRID * GRID, maxLength: GRID * GRID })
  .map((values) => Float32Array.from(values, (value) => value + 0.25));

describe("the smooth outline", () => {
  it("of a disc is a circle at the right place", () => {
    const rings = traceLevel(disc(64, 20), 64, 0, new Frame(512, 512, 256));
    expect(rings).toHaveLength(1);
    const ring = rings[0] ?? new Float32Array();
    for (let i = 0; i < ring.length; i += 2) {
      expect(Math.hypot(at(ring, i) - 256, at(ring, i + 1) - 256)).toBeCloseTo(160, 0);
    }
    expect(signedArea(ring)).toBeCloseTo(Math.PI * 160 ** 2, -3);
  });

  it("of what lies inside everywhere is the picture's border, also where the model's input is padded", () => {
    const rings = traceLevel(new Float32Array(GRID * GRID).fill(1), GRID, 0, new Frame(30, 40, 32));
    expect(rings.map((ring) => Array.from(ring))).toEqual([[0, 0, 40, 0, 40, 30, 0, 30]]);
  });

  it("of nothing is nothing", () => {
    expect(traceLevel(new Float32Array(GRID * GRID).fill(-1), GRID, 0, new Frame(30, 40, 32))).toEqual([]);
    expect(traceLevel(new Float32Array(GRID * GRID), GRID, 0, new Frame(30, 40, 32))).toEqual([]);
  });

  it("never leaves the picture, and surrounds each sample that exceeds the level and no other", () => {
    fc.assert(
      fc.property(frames, grids, (frame, logits) => {
        const rings = traceLevel(logits, GRID, 0, frame);
        for (const ring of rings) {
          for (let i = 0; i < ring.length; i += 2) {
            expect(at(ring, i)).toBeGreaterThanOrEqual(0);
            expect(at(ring, i)).toBeLessThanOrEqual(frame.width);
            expect(at(ring, i + 1)).toBeGreaterThanOrEqual(0);
            expect(at(ring, i + 1)).toBeLessThanOrEqual(frame.height);
          }
        }
        // Scaled so that the centres of pixels lie on the samples.
        const cell = frame.side / GRID;
        const scaled = rings.map((ring) =>
          ring.map((value, i) => (value * (i & 1 ? frame.ratios.y : frame.ratios.x)) / cell),
        );
        const filled = fill(scaled, { width: GRID, height: GRID });
        for (let i = 0; i < GRID * GRID; i++) {
          const centre = frame.fromModel({ x: ((i % GRID) + 0.5) * cell, y: (Math.floor(i / GRID) + 0.5) * cell });
          if (centre.x < frame.width && centre.y < frame.height) expect(filled[i]).toBe(at(logits, i) > 0 ? 1 : 0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("joins opposite corners of a square where their mean is inside, and parts them elsewhere", () => {
    const frame = new Frame(32, 32, 32);
    const corners = (depth: number): Float32Array => {
      const logits = new Float32Array(GRID * GRID).fill(-1);
      logits[3 * GRID + 3] = logits[4 * GRID + 4] = depth;
      return logits;
    };
    expect(traceLevel(corners(3), GRID, 0, frame)).toHaveLength(1);
    expect(traceLevel(corners(0.5), GRID, 0, frame)).toHaveLength(2);
  });

  it("refuses logits of another size", () => {
    expect(() => traceLevel(new Float32Array(10), GRID, 0, new Frame(30, 40, 32))).toThrow("10 logits");
  });
});
