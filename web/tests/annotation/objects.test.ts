import fc from "fast-check";
import { expect, test } from "vitest";
import {
  findPresent,
  nextOrder,
  nextState,
  presentObjects,
  putObjects,
  sameContent,
} from "../../src/annotation/objects";
import type { ObjectState } from "../../src/api/types";
import { objectState } from "./states";

const state = fc
  .record({ id: fc.constantFrom("a", "b", "c", "d"), order: fc.integer({ min: 0, max: 3 }) })
  .map(objectState);

test("objects stay sorted, one for each id, and the array that was given stays as it was", () => {
  fc.assert(
    fc.property(fc.array(state), fc.array(state), (first, second) => {
      const before = putObjects([], first);
      const copy = [...before];
      const after = putObjects(before, second);
      expect(before).toEqual(copy);
      expect(after.map((object) => object.order)).toEqual(
        after.map((object) => object.order).toSorted((a, b) => a - b),
      );
      expect(new Set(after.map(({ id }) => id)).size).toBe(after.length);
      for (const { id } of second) expect(after).toContain(second.findLast((object) => object.id === id));
      expect(nextOrder(after)).toBeGreaterThan(Math.max(0, ...after.map((object) => object.order)));
    }),
  );
});

test("deleted and rejected objects are not present", () => {
  const objects = [
    objectState({ id: "a" }),
    objectState({ id: "b", status: "deleted" }),
    objectState({ id: "c", status: "rejected" }),
  ];
  expect(presentObjects(objects).map(({ id }) => id)).toEqual(["a"]);
  expect(presentObjects(objects)).toBe(presentObjects(objects));
  expect([findPresent(objects, "b"), findPresent(objects, null), findPresent(objects, "a")?.id]).toEqual([
    null,
    null,
    "a",
  ]);
});

test("two states with the same content differ by version only", () => {
  const prompts: ObjectState["prompts"] = {
    clicks: [{ x: 1, y: 2, positive: true }],
    box: [1, 2, 3, 4],
    choice: null,
    base: null,
  };
  const one = objectState({ id: "a", prompts });
  expect(sameContent(one, nextState("a", one, { ...one, prompts: structuredClone(prompts) }))).toBe(true);
  for (const other of [
    { ...one, prompts: { ...prompts, box: null } },
    { ...one, prompts: { ...prompts, clicks: [{ x: 1, y: 2, positive: false }] } },
    { ...one, prompts: { ...prompts, choice: 1 } },
    { ...one, prompts: null },
    { ...one, label: "x" },
    { ...one, visible: false },
    { ...one, status: "deleted" as const },
  ]) {
    expect(sameContent(one, other)).toBe(false);
  }
});
