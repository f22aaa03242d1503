import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { CutOutError, cutPng } from "../../src/cutouts/cut";
import { encodePng } from "../../src/cutouts/png";
import { RunLengths } from "../../src/geometry/rle";
import type { Bounds } from "../../src/geometry/shapes";

const SIZE = { width: 4, height: 3 };

/** The chunks of a PNG by their type, those of one type joined. */
async function chunks(png: Blob): Promise<Map<string, Buffer>> {
  const bytes = Buffer.from(await png.arrayBuffer());
  const found = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString("latin1", at + 4, at + 8);
    found.set(type, Buffer.concat([found.get(type) ?? Buffer.alloc(0), bytes.subarray(at + 8, at + 8 + length)]));
    at += 12 + length;
  }
  return found;
}

describe("a cut-out", () => {
  it("of an empty mask is refused", () => {
    const nothing = RunLengths.fromRuns([12], SIZE);
    expect(() => cutPng(() => new Uint8Array(0), nothing)).toThrow(CutOutError);
  });

  it("reads only the mask's box of the picture, a strip at a time", async () => {
    const size = { width: 3000, height: 3000 };
    const mask = RunLengths.fromWindow(new Uint8Array(2000 * 1000).fill(1), [500, 1000, 2500, 2000], size);
    const asked: Bounds[] = [];
    const png = cutPng((bounds) => {
      asked.push(bounds);
      return new Uint8Array(4 * (bounds[2] - bounds[0]) * (bounds[3] - bounds[1])).fill(7);
    }, mask);
    expect(asked[0]).toEqual([500, 1000, 2500, 1524]);
    expect(asked[1]).toEqual([500, 1524, 2500, 2000]);
    expect(asked).toHaveLength(2);
    const parts = await chunks(png);
    expect(parts.get("IHDR")?.readUInt32BE(0)).toBe(2000);
    expect(parts.get("IHDR")?.readUInt32BE(4)).toBe(1000);
    expect(inflateSync(parts.get("IDAT") ?? Buffer.alloc(0))).toHaveLength(1000 * (4 * 2000 + 1));
  });

  it("passes on what goes wrong with the picture", () => {
    const mask = RunLengths.fromRuns([0, 12], SIZE);
    const read = (): Uint8Array => {
      throw new Error("the picture has gone");
    };
    expect(() => cutPng(read, mask)).toThrow("the picture has gone");
  });
});

describe("a PNG", () => {
  it.each([[[8]], [[16, 16]], [[13]]])("is not written with rows missing, too many or broken: %j bytes", (lengths) => {
    const strips = lengths.map((length) => new Uint8Array(length));
    expect(() => encodePng(2, 3, strips)).toThrow(RangeError);
  });
});
