import type { ObjectState } from "../api/types";
import { samePrompts } from "./prompts";

/** All objects of a picture, deleted and rejected ones too, sorted by their order. Replaced, never changed. */
export type Objects = readonly ObjectState[];

/** What a change leaves to the bookkeeping. */
export type Content = Omit<ObjectState, "id" | "version">;

const presentOf = new WeakMap<Objects, Objects>();

/** Those that are there; the same array for the same objects. */
export function presentObjects(objects: Objects): Objects {
  let present = presentOf.get(objects);
  if (!present) {
    present = objects.filter((object) => object.status === "present");
    presentOf.set(objects, present);
  }
  return present;
}

export function findObject(objects: Objects, id: string): ObjectState | null {
  return objects.find((object) => object.id === id) ?? null;
}

/** An object that is there, else null. */
export function findPresent(objects: Objects, id: string | null): ObjectState | null {
  const object = id === null ? null : findObject(objects, id);
  return object?.status === "present" ? object : null;
}

export function sortObjects(objects: Objects): Objects {
  return objects.toSorted((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1));
}

/** The objects with one of them new or replaced. */
export function putObjects(objects: Objects, states: Objects): Objects {
  const replaced = new Map(states.map((state) => [state.id, state]));
  return sortObjects([...objects.filter((object) => !replaced.has(object.id)), ...replaced.values()]);
}

/** The next state of an object; `before` is null for a new one. */
export function nextState(id: string, before: ObjectState | null, content: Content): ObjectState {
  const { status, counts, prompts, label, color, visible, order, score, source, finished, model } = content;
  const version = (before?.version ?? 0) + 1;
  return { id, version, status, counts, prompts, label, color, visible, order, score, source, finished, model };
}

/** Above all others. */
export function nextOrder(objects: Objects): number {
  return objects.reduce((highest, object) => Math.max(highest, object.order), 0) + 1;
}

/** Whether two states say the same of an object, whatever their versions. */
export function sameContent(a: ObjectState, b: ObjectState): boolean {
  return (
    a.counts === b.counts &&
    a.status === b.status &&
    a.label === b.label &&
    a.color === b.color &&
    a.visible === b.visible &&
    a.order === b.order &&
    a.score === b.score &&
    a.source === b.source &&
    a.finished === b.finished &&
    a.model === b.model &&
    samePrompts(a.prompts, b.prompts)
  );
}
