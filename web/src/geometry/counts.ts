/** Run lengths that are not COCO's, or do not fill their picture. */
export class RunLengthsError extends Error {
  override name = "RunLengthsError";
}

const FIRST_SYMBOL = 48;
const TEXT_PIECE = 8192;

/**
 * Read COCO's compressed run lengths: runs down the columns, background first.
 *
 * @throws RunLengthsError where the text is not of that form.
 */
export function decodeCounts(counts: string): Uint32Array {
  const runs = new Uint32Array(counts.length);
  let length = 0;
  let place = 0;
  while (place < counts.length) {
    let value = 0;
    let weight = 1;
    let symbol;
    do {
      symbol = counts.charCodeAt(place) - FIRST_SYMBOL;
      // Past the end, the symbol is not a number and fails here too.
      if (!(symbol >= 0 && symbol < 64) || weight > 2 ** 40) throw foreign(counts);
      value += (symbol & 31) * weight;
      weight *= 32;
      place++;
    } while (symbol & 32);
    if (symbol & 16) value -= weight;
    // From the fourth on, a run is stored as its difference to the run of the same colour before it.
    if (length > 2) value += runs[length - 2] ?? 0;
    if (value < 0 || value > 0xffffffff) throw foreign(counts);
    runs[length++] = value;
  }
  return runs.slice(0, length);
}

/** Compress run lengths as COCO does; the runs are taken as they are, empty ones too. */
export function encodeCounts(runs: ArrayLike<number>): string {
  let symbols = new Uint8Array(runs.length * 3 + 16);
  let length = 0;
  for (let i = 0; i < runs.length; i++) {
    if (length + 16 > symbols.length) {
      const larger = new Uint8Array(symbols.length * 2);
      larger.set(symbols);
      symbols = larger;
    }
    let value = (runs[i] ?? 0) - (i > 2 ? (runs[i - 2] ?? 0) : 0);
    let more = true;
    while (more) {
      let symbol = value & 31;
      value = (value - symbol) / 32;
      more = symbol & 16 ? value !== -1 : value !== 0;
      if (more) symbol |= 32;
      symbols[length++] = symbol + FIRST_SYMBOL;
    }
  }
  let text = "";
  for (let i = 0; i < length; i += TEXT_PIECE) {
    text += String.fromCharCode(...symbols.subarray(i, Math.min(i + TEXT_PIECE, length)));
  }
  return text;
}

function foreign(counts: string): RunLengthsError {
  const shown = counts.length > 40 ? `${counts.slice(0, 40)}…` : counts;
  return new RunLengthsError(`The mask "${shown}" is not in COCO's compressed run lengths.`);
}
