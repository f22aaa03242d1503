/** Columns turned into rows at a time: as many as the processor's cache takes. */
const COLUMNS = 64;

/**
 * Call `visit` with the columns of a row-major array, one after the other; a column is a view that is used again.
 *
 * @param values - row-major, `width * height` numbers; what is not zero comes as 1.
 */
export function forEachColumn(
  values: Uint8Array,
  width: number,
  height: number,
  visit: (column: Uint8Array, x: number) => void,
): void {
  const tile = new Uint8Array(COLUMNS * height);
  for (let x0 = 0; x0 < width; x0 += COLUMNS) {
    const columns = Math.min(COLUMNS, width - x0);
    for (let y = 0; y < height; y++) {
      let from = y * width + x0;
      for (let to = y, end = y + columns * height; to < end; to += height) tile[to] = values[from++] ? 1 : 0;
    }
    for (let c = 0; c < columns; c++) visit(tile.subarray(c * height, (c + 1) * height), x0 + c);
  }
}

/**
 * Make a row-major array from its columns, which `draw` fills one after the other.
 *
 * @param draw - is given a column of zeros, and puts numbers into it.
 */
export function fromColumns(
  width: number,
  height: number,
  draw: (column: Uint8Array, x: number) => void,
): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(width * height);
  const tile = new Uint8Array(COLUMNS * height);
  for (let x0 = 0; x0 < width; x0 += COLUMNS) {
    const columns = Math.min(COLUMNS, width - x0);
    tile.fill(0);
    for (let c = 0; c < columns; c++) draw(tile.subarray(c * height, (c + 1) * height), x0 + c);
    for (let y = 0; y < height; y++) {
      let to = y * width + x0;
      for (let from = y, end = y + columns * height; from < end; from += height) values[to++] = tile[from] ?? 0;
    }
  }
  return values;
}
