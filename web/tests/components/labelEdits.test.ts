import fc from "fast-check";
import { expect, it } from "vitest";
import { exchanged, labelEdits, renames, withName } from "../../src/components/labelEdits";

it("renames labels, and makes two one where a name is taken", () => {
  const edits = withName(labelEdits(["cat", "dog", "car"]), 1, "hound");
  expect([edits.map(({ name }) => name), renames(edits)]).toEqual([
    ["cat", "hound", "car"],
    new Map([["dog", "hound"]]),
  ]);
  const joined = withName(edits, 1, "car");
  expect([joined.map(({ name }) => name), renames(joined)]).toEqual([["cat", "car"], new Map([["dog", "car"]])]);
  expect(withName(edits, 0, "")).toEqual(edits);
  expect(withName(labelEdits(["cat"]), 0, "cat")).toEqual(labelEdits(["cat"]));
});

it("tells of names that go from one label to another", () => {
  const freed = withName(labelEdits(["cat", "dog"]), 0, "lion");
  expect(exchanged(freed)).toBeNull();
  expect(exchanged(withName(freed, 1, "cat"))).toBe("cat");
  expect(renames(withName(withName(labelEdits(["cat"]), 0, "lion"), 0, "cat"))).toEqual(new Map());
});

it("leads every label to exactly one that is there, however it is edited", () => {
  const names = fc.constantFrom("a", "b", "c", "d", "e");
  fc.assert(
    fc.property(fc.uniqueArray(names), fc.array(fc.tuple(fc.nat(4), names)), (before, steps) => {
      let edits = labelEdits(before);
      for (const [index, name] of steps) edits = withName(edits, index, name);
      const after = edits.map(({ name }) => name);
      const renamed = renames(edits);
      expect(new Set(after).size).toBe(after.length);
      for (const label of before) expect(after).toContain(renamed.get(label) ?? label);
      expect(edits.flatMap(({ was }) => was).toSorted()).toEqual(before.toSorted());
    }),
  );
});
