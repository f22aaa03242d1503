/**
 * The colour for a new object: of those used least the one with the lowest number.
 *
 * @param used - numbers of the colours of the objects that are there, in any order; foreign ones do not count.
 * @param palette - how many colours there are, at least 1.
 */
export function nextColor(used: Iterable<number>, palette: number): number {
  const uses = new Array<number>(Math.max(palette, 1)).fill(0);
  for (const color of used) {
    const count = uses[color];
    if (count !== undefined) uses[color] = count + 1;
  }
  return uses.indexOf(Math.min(...uses));
}
