import { expect, test } from "vitest";
import {
  asksNothing,
  boxPrompts,
  loneClick,
  promptsToRefine,
  withChoice,
  withClick,
  withoutClick,
} from "../../src/annotation/prompts";
import { objectState } from "./states";

const [one, two] = [
  { x: 1, y: 1, positive: true },
  { x: 2, y: 2, positive: false },
];
const nothing = promptsToRefine(null, "model");

test("an object is refined from its own prompts where the same model made them, else from its mask", () => {
  const prompts = withClick(nothing, one);
  const object = objectState({ id: "a", counts: "mask", prompts, model: "model" });
  expect(promptsToRefine(object, "model")).toBe(prompts);
  for (const foreign of [
    { ...object, model: "other" },
    { ...object, prompts: null },
  ]) {
    expect(promptsToRefine(foreign, "model")).toEqual({ clicks: [], box: null, choice: null, base: "mask" });
  }
});

test("a lone click is one without a box and a base", () => {
  const lone = withClick(nothing, one);
  expect(loneClick(lone)).toBe(one);
  for (const other of [
    nothing,
    withClick(lone, two),
    withClick(boxPrompts([1, 2, 3, 4]), one),
    { ...lone, base: "mask" },
    null,
  ]) {
    expect(loneClick(other)).toBeNull();
  }
});

test("the choice goes with the first click only", () => {
  const chosen = withChoice(withClick(withClick(nothing, one), two), 2);
  expect(withoutClick(chosen, 1)).toEqual({ clicks: [one], box: null, choice: 2, base: null });
  expect(withoutClick(chosen, 0)).toEqual({ clicks: [two], box: null, choice: null, base: null });
});

test("a base asks nothing by itself", () => {
  expect(asksNothing({ ...nothing, base: "mask" })).toBe(true);
  expect(asksNothing(boxPrompts([1, 2, 3, 4]))).toBe(false);
  expect(asksNothing(withClick(nothing, one))).toBe(false);
});
