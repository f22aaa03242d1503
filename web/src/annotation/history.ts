import type { ObjectState } from "../api/types";
import { nextState } from "./objects";

/** One object's change; `before` is null where it came into being. */
export interface Entry {
  object: string;
  before: ObjectState | null;
  after: ObjectState;
}

/** What one undo takes back: one entry, or several where one command changed several objects. */
export interface Step {
  entries: readonly Entry[];
  /** Counts up through a session, so that steps can be ordered among other things that can be undone. */
  made: number;
}

/** What was done to a picture's objects, and what was taken back. Replaced, never changed. */
export interface History {
  past: readonly Step[];
  future: readonly Step[];
}

export const NO_HISTORY: History = { past: [], future: [] };

export function record(history: History, step: Step): History {
  return { past: [...history.past, step], future: [] };
}

/**
 * Make a state part of the last step that changed its object, such as that a person went on from it, which nobody wants
 * to undo by itself.
 */
export function amend(history: History, state: ObjectState): History {
  const last = history.past.findLastIndex((step) => step.entries.some((entry) => entry.object === state.id));
  if (last < 0) return history;
  const past = history.past.map((step, i) =>
    i === last
      ? {
          ...step,
          entries: step.entries.map((entry) => (entry.object === state.id ? { ...entry, after: state } : entry)),
        }
      : step,
  );
  return { ...history, past };
}

/** Take the last step back; null where there is none. */
export function stepBack(history: History): { step: Step; history: History } | null {
  const step = history.past.at(-1);
  if (!step) return null;
  return { step, history: { past: history.past.slice(0, -1), future: [...history.future, step] } };
}

/** Do the step again that was taken back last; null where there is none. */
export function stepForward(history: History): { step: Step; history: History } | null {
  const step = history.future.at(-1);
  if (!step) return null;
  return { step, history: { past: [...history.past, step], future: history.future.slice(0, -1) } };
}

/** Leave an object out, because it was changed elsewhere. */
export function forget(history: History, object: string): History {
  const without = (steps: readonly Step[]) =>
    steps
      .map((step) => ({ ...step, entries: step.entries.filter((entry) => entry.object !== object) }))
      .filter((step) => step.entries.length > 0);
  return { past: without(history.past), future: without(history.future) };
}

/** The history with labels under their new names; whether an object has one does not change by that. */
export function renameLabels(history: History, renamed: ReadonlyMap<string, string>): History {
  const state = <T extends ObjectState | null>(before: T): T =>
    before?.label != null && renamed.has(before.label)
      ? { ...before, label: renamed.get(before.label) ?? null }
      : before;
  const steps = (all: readonly Step[]) =>
    all.map((step) => ({
      ...step,
      entries: step.entries.map((entry) => ({ ...entry, before: state(entry.before), after: state(entry.after) })),
    }));
  return { past: steps(history.past), future: steps(history.future) };
}

/** The state that makes an object what it was before or after an entry; an object that was not yet there is deleted. */
export function restored(current: ObjectState, wanted: ObjectState | null): ObjectState {
  return nextState(current.id, current, wanted ?? { ...current, status: "deleted" });
}
