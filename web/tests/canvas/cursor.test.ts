import { describe, expect, it } from "vitest";
import { cursorFor } from "../../src/canvas/cursor";
import type { ToolName } from "../../src/session/session";

const STILL = { pans: false, busy: false, inverted: false };
const NOTHING = { click: null, object: null };
const state = (tool: ToolName, hoveredProposal: string | null = null) => ({ tool, hoveredProposal });
const onClick = { click: { object: "a", index: 0, click: { x: 0, y: 0, positive: true } }, object: null };

describe("the cursor", () => {
  it.each<[ToolName, boolean, string]>([
    ["segment", false, "plus"],
    ["segment", true, "minus"],
    ["box", false, "cross"],
    ["box", true, "minus"],
    ["remove", false, "minus"],
    ["pan", false, "open-hand"],
    ["select", false, "arrow"],
    ["everything", false, "arrow"],
  ])("of the %s tool, inverted: %s, is %s", (tool, inverted, expected) => {
    expect(cursorFor(state(tool), NOTHING, { ...STILL, inverted })).toBe(expected);
  });

  it("points where a click would remove a point, take up an object or accept a proposal", () => {
    expect(cursorFor(state("segment"), onClick, STILL)).toBe("point");
    expect(cursorFor(state("select"), { click: null, object: "a" }, STILL)).toBe("point");
    expect(cursorFor(state("everything", "p"), NOTHING, STILL)).toBe("point");
    expect(cursorFor(state("everything", "p"), NOTHING, { ...STILL, inverted: true })).toBe("minus");
  });

  it("is a hand whatever the tool while the picture can be moved, which closes on it", () => {
    expect(cursorFor(state("box"), onClick, { ...STILL, pans: true })).toBe("open-hand");
    expect(cursorFor(state("box"), onClick, { ...STILL, pans: true, busy: true })).toBe("closed-hand");
  });
});
