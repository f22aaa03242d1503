import type { ObjectState } from "../api/types";

/** What an object is called: by its label, else by its place in the list, from 0. */
export function objectName({ label }: Pick<ObjectState, "label">, index: number): string {
  return label ?? `Object ${String(index + 1)}`;
}
