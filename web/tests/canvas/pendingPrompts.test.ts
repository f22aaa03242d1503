import { describe, expect, it } from "vitest";
import type { Prompts } from "../../src/api/types";
import { PendingPrompts } from "../../src/canvas/pendingPrompts";
import { objectState } from "../actions/states";

const prompts = (changes: Partial<Prompts>): Prompts => ({
  clicks: [],
  box: null,
  choice: null,
  base: null,
  ...changes,
});

describe("PendingPrompts", () => {
  it("gives the time of a click as soon as an object holds it, and once", () => {
    const pending = new PendingPrompts();
    pending.add({ x: 10.2, y: 5.4, positive: true }, 100);
    expect(pending.takeAnswered([objectState("a"), objectState("b", { prompts: prompts({}) })])).toEqual([]);
    const answered = [objectState("a", { prompts: prompts({ clicks: [{ x: 10, y: 5, positive: true }] }) })];
    expect(pending.takeAnswered(answered)).toEqual([100]);
    expect(pending.takeAnswered(answered)).toEqual([]);
  });

  it.each([
    ["elsewhere", { x: 11, y: 5, positive: true }],
    ["of the other kind", { x: 10, y: 5, positive: false }],
  ])("does not take a click %s for it", (_, click) => {
    const pending = new PendingPrompts();
    pending.add({ x: 10, y: 5, positive: true }, 100);
    expect(pending.takeAnswered([objectState("a", { prompts: prompts({ clicks: [click] }) })])).toEqual([]);
  });

  it("knows boxes by their sides", () => {
    const pending = new PendingPrompts();
    pending.add([1, 2, 30, 40], 7);
    pending.add([1, 2, 30, 50], 8);
    expect(pending.takeAnswered([objectState("a", { prompts: prompts({ box: [1, 2, 30, 50] }) })])).toEqual([8]);
  });

  it("forgets what will not be answered", () => {
    const pending = new PendingPrompts();
    pending.add([1, 2, 3, 4], 7);
    pending.clear();
    expect(pending.takeAnswered([objectState("a", { prompts: prompts({ box: [1, 2, 3, 4] }) })])).toEqual([]);
  });
});
