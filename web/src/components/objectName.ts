import type { ObjectState } from "../api/types";

/** What an object is called: by its label, else by its place in the order in which the picture's objects were made. */
export function objectName({ label, order }: Pick<ObjectState, "label" | "order">): string {
  return label ?? `Object ${String(Math.round(order))}`;
}
