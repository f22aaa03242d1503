import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_HISTORY, type Entry } from "../../src/annotation/history";
import { keepHistory, takeUpHistory, type KeptHistory } from "../../src/annotation/keptHistory";
import { findObject, nextState, sameContent } from "../../src/annotation/objects";
import type { ObjectState } from "../../src/api/types";
import { changed, IDS, travel, type Picture } from "./pictures";
import { objectState } from "./states";

/** Change objects in one step; those that are not there come into being. */
function change(picture: Picture, ids: readonly string[], counts: string, status: ObjectState["status"]): Picture {
  const entries = [...new Set(ids)].map((object): Entry => {
    const before = findObject(picture.objects, object);
    return { object, before, after: nextState(object, before, objectState({ id: object, counts, status })) };
  });
  return changed(picture, entries, 7);
}

const step = fc.oneof(
  fc.record({
    kind: fc.constant("change" as const),
    ids: fc.subarray(IDS, { minLength: 1 }),
    counts: fc.constantFrom("04", "13", "22"),
    status: fc.constantFrom("present" as const, "deleted" as const),
  }),
  fc.record({ kind: fc.constantFrom("undo" as const, "redo" as const) }),
);
const steps = fc.array(step, { maxLength: 12 });

function follow(start: Picture, done: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): Picture {
  let picture = start;
  for (const one of done) {
    if (one.kind === "change") picture = change(picture, one.ids, one.counts, one.status);
    else picture = travel(picture, one.kind).picture;
  }
  return picture;
}

const EMPTY: Picture = { objects: [], history: NO_HISTORY };
const clone = (kept: KeptHistory) => structuredClone(kept);

test("a history that is taken up again undoes and redoes what it would have without a break", () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const here = follow(EMPTY, before);
      const kept = clone(keepHistory(here.history, here.objects));
      const there = { objects: here.objects, history: takeUpHistory(kept, NO_HISTORY, here.objects) };
      expect(follow(there, after).objects).toEqual(follow(here, after).objects);
    }),
  );
});

test("it never touches an object that was changed elsewhere meanwhile, whatever is undone and redone", () => {
  fc.assert(
    fc.property(
      steps,
      fc.subarray(IDS),
      fc.constantFrom("deleted", "changed", "gone"),
      steps,
      (before, theirs, how, after) => {
        const here = follow(EMPTY, before);
        const kept = clone(keepHistory(here.history, here.objects));
        const objects = here.objects.flatMap((object) => {
          if (!theirs.includes(object.id)) return [object];
          if (how === "gone") return [];
          const content = how === "deleted" ? { status: "deleted" as const } : { label: "theirs" };
          return [nextState(object.id, object, { ...object, ...content })];
        });
        const moves = after.filter((one) => one.kind !== "change");
        const done = follow({ objects, history: takeUpHistory(kept, NO_HISTORY, objects) }, moves);
        for (const id of theirs) expect(findObject(done.objects, id)).toBe(findObject(objects, id));
        expect(done.objects).toHaveLength(objects.length);
      },
    ),
  );
});

test("undoing all of it leaves what each object was at first, and every other object as it is", () => {
  fc.assert(
    fc.property(steps, steps, (early, before) => {
      const start = { ...follow(EMPTY, early), history: NO_HISTORY };
      const here = follow(start, before);
      let there = {
        objects: here.objects,
        history: takeUpHistory(clone(keepHistory(here.history, here.objects)), NO_HISTORY, here.objects),
      };
      while (there.history.past.length > 0) there = travel(there, "undo").picture;
      for (const object of there.objects) {
        const first = findObject(start.objects, object.id);
        if (first) expect(sameContent(object, first)).toBe(true);
        else expect(object.status).toBe("deleted");
      }
    }),
  );
});

test("steps that were made before it was at hand come last, and end what could be done again", () => {
  const earlier = follow(EMPTY, [
    { kind: "change", ids: ["a"], counts: "04", status: "present" },
    { kind: "change", ids: ["b"], counts: "04", status: "present" },
    { kind: "undo" },
  ]);
  const kept = clone(keepHistory(earlier.history, earlier.objects));
  const now = change({ objects: earlier.objects, history: NO_HISTORY }, ["a"], "13", "present");
  const taken = takeUpHistory(kept, now.history, now.objects);
  expect(taken.past.map((one) => [one.made, one.entries[0]?.after.counts])).toEqual([
    [0, "04"],
    [7, "13"],
  ]);
  expect(taken.future).toEqual([]);
});

test("only so much is kept: the steps that are nearest to now", () => {
  let picture = EMPTY;
  for (let i = 0; i < 150; i++) picture = change(picture, ["a"], String(i), "present");
  expect(keepHistory(picture.history, picture.objects).history.past.map((one) => one.entries[0]?.after.counts)).toEqual(
    Array.from({ length: 100 }, (_, i) => String(i + 50)),
  );
  let large = EMPTY;
  for (let i = 0; i < 10; i++) large = change(large, ["a"], String(i).repeat(900_000), "present");
  const kept = keepHistory(large.history, large.objects);
  expect(kept.history.past).toHaveLength(1);
  expect(kept.history.past[0]).toBe(large.history.past.at(-1));
  expect(kept.objects).toEqual(large.objects);
});
