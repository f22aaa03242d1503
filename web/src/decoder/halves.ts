let table: Float32Array | null = null;

/** Turn half-precision numbers, given as their bits, into single-precision ones; exact. */
export function floatsFromHalves(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = (table ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => decode(bits)));
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = values[halves[i] ?? 0] ?? 0;
  return floats;
}

function decode(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
