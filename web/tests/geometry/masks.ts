import fc from "fast-check";
import type { Rings, Size } from "../../src/geometry/shapes";

export interface Drawn {
  mask: Uint8Array;
  size: Size;
}

/** Small masks of all kinds: noise, blocks that reach the borders, full and empty ones. */
export const drawnMasks: fc.Arbitrary<Drawn> = fc
  .record({ width: fc.integer({ min: 1, max: 24 }), height: fc.integer({ min: 1, max: 24 }) })
  .chain((size) => masksOf(size).map((mask) => ({ mask, size })));

/** Pairs of masks of one size. */
export const drawnPairs: fc.Arbitrary<[Drawn, Drawn]> = fc
  .record({ width: fc.integer({ min: 1, max: 16 }), height: fc.integer({ min: 1, max: 16 }) })
  .chain((size) =>
    fc.tuple(masksOf(size), masksOf(size)).map(([a, b]) => [
      { mask: a, size },
      { mask: b, size },
    ]),
  );

function masksOf(size: Size): fc.Arbitrary<Uint8Array> {
  const pixels = size.width * size.height;
  const noise = fc.uint8Array({ minLength: pixels, maxLength: pixels, max: 1 });
  const block = fc
    .tuple(fc.nat(size.width), fc.nat(size.width), fc.nat(size.height), fc.nat(size.height))
    .map(([xa, xb, ya, yb]) => {
      const mask = new Uint8Array(pixels);
      for (let y = Math.min(ya, yb); y < Math.max(ya, yb); y++) {
        mask.fill(1, y * size.width + Math.min(xa, xb), y * size.width + Math.max(xa, xb));
      }
      return mask;
    });
  const pierced = fc.tuple(block, noise, noise).map(([a, b, c]) => a.map((on, i) => on & ~((b[i] ?? 0) & (c[i] ?? 0))));
  return fc.oneof(noise, block, pierced);
}

/** Fill rings by the even-odd rule: a pixel is on if its centre is inside. */
export function fill(rings: Rings, size: Size): Uint8Array {
  const mask = new Uint8Array(size.width * size.height);
  for (let y = 0; y < size.height; y++) {
    const crossings: number[] = [];
    for (const ring of rings) {
      for (let i = 0; i < ring.length; i += 2) {
        const j = (i + 2) % ring.length;
        const [x0, y0, x1, y1] = [at(ring, i), at(ring, i + 1), at(ring, j), at(ring, j + 1)];
        if (y0 <= y + 0.5 !== y1 <= y + 0.5) crossings.push(x0 + ((y + 0.5 - y0) / (y1 - y0)) * (x1 - x0));
      }
    }
    for (let x = 0; x < size.width; x++) {
      mask[y * size.width + x] = crossings.filter((crossing) => crossing <= x + 0.5).length & 1;
    }
  }
  return mask;
}

/** Area inside a ring, positive if it runs clockwise on the screen. */
export function signedArea(ring: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const j = (i + 2) % ring.length;
    sum += at(ring, i) * at(ring, j + 1) - at(ring, j) * at(ring, i + 1);
  }
  return sum / 2;
}

export function at(numbers: ArrayLike<number>, index: number): number {
  const value = numbers[index];
  if (value === undefined) throw new RangeError(`no number ${String(index)} of ${String(numbers.length)}`);
  return value;
}
