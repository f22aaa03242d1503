import { Zlib } from "fflate";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const RGBA = 6;
const PAETH = 4;
const BYTES = 4;
/** Of photographs, the highest level makes files a tenth smaller, in four times the time. */
const COMPRESSION = 2;

/**
 * Write pixels as a PNG, a few rows at a time.
 *
 * A canvas would do it too, but has limits to its size that differ between browsers, and holds the whole picture.
 *
 * @param strips - whole rows of RGBA, from the top to the bottom; alpha is not multiplied into the colours.
 * @throws RangeError where the strips have more or fewer pixels than the size says.
 */
export function encodePng(width: number, height: number, strips: Iterable<Uint8Array>): Blob {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, RGBA);
  const parts = [SIGNATURE, ...chunk("IHDR", new Uint8Array(header.buffer)), ...chunk("sRGB", Uint8Array.of(0))];
  const deflate = new Zlib({ level: COMPRESSION }, (data) => {
    parts.push(...chunk("IDAT", data as Uint8Array<ArrayBuffer>));
  });
  const filter = new RowFilter(width);
  let rows = 0;
  for (const strip of strips) {
    rows += strip.length / (width * BYTES);
    if (!Number.isInteger(rows) || rows > height) break;
    deflate.push(filter.apply(strip), rows === height);
  }
  if (rows !== height) throw new RangeError(`A PNG of ${String(height)} rows was given ${String(rows)}.`);
  parts.push(...chunk("IEND", new Uint8Array(0)));
  return new Blob(parts, { type: "image/png" });
}

/** Replaces each byte by its difference to what its neighbours let expect, which compresses better. */
class RowFilter {
  readonly #stride: number;
  /** The row before, with a transparent pixel on its left. */
  #above: Uint8Array;
  #current: Uint8Array;

  constructor(width: number) {
    this.#stride = width * BYTES;
    this.#above = new Uint8Array(this.#stride + BYTES);
    this.#current = new Uint8Array(this.#stride + BYTES);
  }

  apply(strip: Uint8Array): Uint8Array<ArrayBuffer> {
    const stride = this.#stride;
    const rows = strip.length / stride;
    const filtered = new Uint8Array(rows * (stride + 1));
    let to = 0;
    for (let row = 0; row < rows; row++) {
      const [above, current] = [this.#above, this.#current];
      current.set(strip.subarray(row * stride, (row + 1) * stride), BYTES);
      filtered[to++] = PAETH;
      for (let i = BYTES; i < stride + BYTES; i++) {
        const a = current[i - BYTES] ?? 0;
        const b = above[i] ?? 0;
        const c = above[i - BYTES] ?? 0;
        const [toA, toB, toC] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
        filtered[to++] = (current[i] ?? 0) - (toA <= toB && toA <= toC ? a : toB <= toC ? b : c);
      }
      [this.#above, this.#current] = [current, above];
    }
    return filtered;
  }
}

function chunk(type: string, data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, data.length);
  for (let i = 0; i < 4; i++) head[4 + i] = type.charCodeAt(i);
  const tail = new Uint8Array(4);
  new DataView(tail.buffer).setUint32(0, ~checksum(data, checksum(head.subarray(4), -1)) >>> 0);
  return [head, data, tail];
}

const CHECKSUMS = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Go on with a cyclic redundancy check (CRC-32) over more bytes. */
function checksum(data: Uint8Array, value: number): number {
  for (const byte of data) value = (CHECKSUMS[(value ^ byte) & 255] ?? 0) ^ (value >>> 8);
  return value;
}
