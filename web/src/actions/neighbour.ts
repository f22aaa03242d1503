import type { StudioState } from "../session/session";

/** The object `steps` places after the selected one, around the end; without a selection the first or last. */
export function neighbour({ objects, selected }: StudioState, steps: 1 | -1): string | null {
  if (objects.length === 0) return null;
  const index = objects.findIndex(({ id }) => id === selected);
  const from = index < 0 && steps < 0 ? objects.length : index;
  return objects[(from + steps + objects.length) % objects.length]?.id ?? null;
}
