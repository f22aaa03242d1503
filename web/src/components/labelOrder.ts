/** A list with the one at `from` moved to `to`. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const copy = [...list];
  copy.splice(Math.min(Math.max(to, 0), list.length - 1), 0, ...copy.splice(from, 1));
  return copy;
}
