import fc from "fast-check";
import { expect, test } from "vitest";
import { floatsFromHalves } from "../../src/decoder/halves";

const decode = (...bits: number[]) => [...floatsFromHalves(Uint16Array.from(bits))];

test("known numbers", () => {
  expect(decode(0x3c00, 0xc000, 0x3555, 0x7bff, 0x0400, 0x0001, 0x0000)).toEqual([
    1,
    -2,
    0.333251953125,
    65504,
    2 ** -14,
    2 ** -24,
    0,
  ]);
  expect(decode(0x8000)).toEqual([-0]);
  expect(decode(0x7c00, 0xfc00, 0x7e00)).toEqual([Infinity, -Infinity, NaN]);
});

test("numbers rise with their bits, and the sign bit alone changes the sign", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7bff }), (bits) => {
      const [value, next, negative] = decode(bits, bits + 1, bits | 0x8000) as [number, number, number];
      expect(next).toBeGreaterThan(value);
      expect(negative).toBe(-value);
    }),
  );
});
