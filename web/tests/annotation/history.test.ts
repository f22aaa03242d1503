import fc from "fast-check";
import { expect, test } from "vitest";
import type { ObjectState } from "../../src/api/types";
import { amend, forget, NO_HISTORY, record, stepBack, type Entry } from "../../src/annotation/history";
import { findObject, nextState, presentObjects, type Objects } from "../../src/annotation/objects";
import { changed, IDS, travel, type Picture } from "./pictures";
import { objectState } from "./states";

const edit = fc.record({
  object: fc.constantFrom(...IDS),
  label: fc.string({ maxLength: 2 }),
  isDeleted: fc.boolean(),
});
const command = fc.oneof(
  fc.record({
    kind: fc.constant("change" as const),
    edits: fc.uniqueArray(edit, { minLength: 1, selector: (e) => e.object }),
  }),
  fc.record({ kind: fc.constantFrom("undo" as const, "redo" as const) }),
);

function change(picture: Picture, edits: { object: string; label: string; isDeleted: boolean }[]): Picture {
  const entries = edits.map(({ object, label, isDeleted }): Entry => {
    const before = findObject(picture.objects, object);
    const status = isDeleted ? "deleted" : "present";
    const after = nextState(object, before, { ...(before ?? objectState({ id: object })), label, status });
    return { object, before, after };
  });
  return changed(picture, entries, 0);
}

/** What a person sees of the objects: versions and what is deleted do not show. */
function seen(objects: Objects): object[] {
  return presentObjects(objects).map(({ id, label, order }) => ({ id, label, order }));
}

test("undoing all gives the first state, redoing all the last, and nothing else is ever touched", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let picture: Picture = { objects: [], history: NO_HISTORY };
      for (const done of commands) {
        const before = picture;
        const result =
          done.kind === "change"
            ? { picture: change(picture, done.edits), touched: done.edits.map(({ object }) => object) }
            : travel(picture, done.kind);
        picture = result.picture;
        for (const id of IDS) {
          const [old, now] = [findObject(before.objects, id), findObject(picture.objects, id)];
          if (!result.touched.includes(id)) expect(now).toBe(old);
          else if (now) expect(now.version).toBe((old?.version ?? 0) + 1);
        }
      }
      while (picture.history.future.length > 0) picture = travel(picture, "redo").picture;
      const last = seen(picture.objects);
      while (picture.history.past.length > 0) picture = travel(picture, "undo").picture;
      expect(seen(picture.objects)).toEqual([]);
      while (picture.history.future.length > 0) picture = travel(picture, "redo").picture;
      expect(seen(picture.objects)).toEqual(last);
    }),
  );
});

function entry(id: string, before: ObjectState | null, after: ObjectState): Entry {
  return { object: id, before, after };
}

test("an amendment is undone with the last step of its object, and keeps what can be redone", () => {
  const [one, two, other] = [
    objectState({ id: "a" }),
    objectState({ id: "a", version: 2, label: "x" }),
    objectState({ id: "b" }),
  ];
  let history = record(NO_HISTORY, { entries: [entry("a", null, one)], made: 1 });
  history = record(history, { entries: [entry("a", one, two)], made: 2 });
  history = record(history, { entries: [entry("b", null, other)], made: 3 });
  history = stepBack(history)?.history ?? history;
  const finished = { ...two, version: 3, finished: true };
  history = amend(history, finished);
  expect(history.past.map((step) => step.entries[0]?.after)).toEqual([one, finished]);
  expect(history.future).toHaveLength(1);
  expect(amend(NO_HISTORY, finished)).toBe(NO_HISTORY);
});

test("a forgotten object leaves the steps of the others as they are", () => {
  const [a, b] = [objectState({ id: "a" }), objectState({ id: "b" })];
  let history = record(NO_HISTORY, { entries: [entry("a", null, a), entry("b", null, b)], made: 1 });
  history = record(history, { entries: [entry("a", a, { ...a, version: 2 })], made: 2 });
  expect(forget(history, "a")).toEqual({ past: [{ entries: [entry("b", null, b)], made: 1 }], future: [] });
});
