import { expect, it } from "vitest";
import { labelMatches, tidyLabel } from "../../src/components/labelMatches";
import { moved } from "../../src/components/labelOrder";

const LABELS = ["traffic light", "car", "light car", "Cart", "person"];

it("offers the same, then what begins so, then words that do, then the rest, in the order of their keys", () => {
  expect(labelMatches("car", LABELS)).toEqual([
    { label: "car", number: 2, isNew: false },
    { label: "Cart", number: 4, isNew: false },
    { label: "light car", number: 3, isNew: false },
  ]);
});

it("offers what was typed as a new label, last, unless it is there", () => {
  expect(labelMatches(" li ", LABELS).map(({ label, isNew }) => [label, isNew])).toEqual([
    ["light car", false],
    ["traffic light", false],
    ["li", true],
  ]);
  expect(labelMatches("person", LABELS)).toEqual([{ label: "person", number: 5, isNew: false }]);
});

it("offers all labels before anything is typed", () => {
  expect(labelMatches("", LABELS).map(({ label }) => label)).toEqual(LABELS);
});

it("gives numbers to the first nine only", () => {
  const many = Array.from({ length: 12 }, (_, index) => `label ${String(index)}`);
  expect(labelMatches("", many).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, null, null, null]);
});

it("takes white space as the server does", () => {
  expect(tidyLabel("  traffic \t light ")).toBe("traffic light");
});

it("moves one of a list, not beyond its ends", () => {
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(moved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b", "c"], 1, 9)).toEqual(["a", "c", "b"]);
  expect(moved(["a", "b", "c"], 1, -1)).toEqual(["b", "a", "c"]);
});
