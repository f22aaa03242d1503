import { record, restored, stepBack, stepForward, type Entry, type History } from "../../src/annotation/history";
import { findObject, putObjects, type Objects } from "../../src/annotation/objects";

/** A picture's objects, and what was done to them. */
export interface Picture {
  objects: Objects;
  history: History;
}

/** The objects of random tests. */
export const IDS = ["a", "b", "c"];

/** Change objects in one step. */
export function changed({ objects, history }: Picture, entries: Entry[], made: number): Picture {
  const states = entries.map((entry) => entry.after);
  return { objects: putObjects(objects, states), history: record(history, { entries, made }) };
}

/** Undo or redo a step, if there is one; tells which objects it touched. */
export function travel(picture: Picture, kind: "undo" | "redo"): { picture: Picture; touched: string[] } {
  const found = kind === "undo" ? stepBack(picture.history) : stepForward(picture.history);
  if (!found) return { picture, touched: [] };
  const states = found.step.entries.flatMap((entry) => {
    const current = findObject(picture.objects, entry.object);
    return current ? [restored(current, kind === "undo" ? entry.before : entry.after)] : [];
  });
  const touched = found.step.entries.map((entry) => entry.object);
  return { picture: { objects: putObjects(picture.objects, states), history: found.history }, touched };
}
