import type { ObjectState } from "../api/types";
import { forget, type History, type Step } from "./history";
import { findObject, sameContent, type Objects } from "./objects";

/** A history to be taken up later, and the objects that it is about as they were when it was kept. */
export interface KeptHistory {
  history: History;
  objects: Objects;
}

const MOST_STEPS = 100;
/** Of masks, in characters. */
const MOST_CHARACTERS = 2_000_000;

/** What is kept of a history: its steps that are nearest to now, as far as their masks do not take too much room. */
export function keepHistory(history: History, objects: Objects): KeptHistory {
  let room = MOST_CHARACTERS;
  const masks = new Set<string>();
  const costs = (state: ObjectState | null) => {
    if (state === null || masks.has(state.counts)) return 0;
    masks.add(state.counts);
    return state.counts.length;
  };
  const nearest = (steps: readonly Step[]) => {
    const kept: Step[] = [];
    for (const step of steps.slice(-MOST_STEPS).toReversed()) {
      for (const { before, after } of step.entries) room -= costs(before) + costs(after);
      if (room < 0) break;
      kept.unshift(step);
    }
    return kept;
  };
  const kept = { past: nearest(history.past), future: nearest(history.future) };
  const ids = idsOf(kept);
  return { history: kept, objects: objects.filter((object) => ids.has(object.id)) };
}

/**
 * Take a kept history up again, before what was done since. Objects that are not what they were when it was kept, or are
 * not there any more, are left out of it, so that nothing that was done elsewhere is undone.
 *
 * @param since - steps that were made before the kept ones were at hand.
 * @param objects - as they are now, with those steps done.
 */
export function takeUpHistory(kept: KeptHistory, since: History, objects: Objects): History {
  let { history } = kept;
  for (const id of idsOf(history)) {
    const then = findObject(kept.objects, id);
    const now = firstState(since, id) ?? findObject(objects, id);
    if (!then || now?.version !== then.version || !sameContent(now, then)) history = forget(history, id);
  }
  const early = (steps: readonly Step[]) => steps.map((step) => ({ ...step, made: 0 }));
  const hasNews = since.past.length > 0 || since.future.length > 0;
  return {
    past: [...early(history.past), ...since.past],
    future: hasNews ? since.future : early(history.future),
  };
}

/** An object as it was before the first of some steps that concerns it; null if none does, or it was not there. */
function firstState(history: History, id: string): ObjectState | null {
  for (const step of [...history.past, ...history.future.toReversed()]) {
    const entry = step.entries.find(({ object }) => object === id);
    if (entry) return entry.before;
  }
  return null;
}

function idsOf({ past, future }: History): Set<string> {
  return new Set([...past, ...future].flatMap((step) => step.entries.map((entry) => entry.object)));
}
