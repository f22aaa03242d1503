import { describe, expect, it } from "vitest";
import type { Prompts } from "../../src/api/types";
import type { Session, StudioState, ToolName } from "../../src/session/session";
import { Hand, type HandListener, type HandStage } from "../../src/tools/hand";
import { objectState } from "../actions/states";
import { answeringSession } from "./sessions";

const PLUS = { negative: false, again: false };
const MINUS = { negative: true, again: false };
const AGAIN = { negative: false, again: true };

/** A picture of 100 x 50 pixels, twice as large on the screen, with its corner at (10, 20). */
const STAGE: HandStage = {
  viewport: { scale: 2, x: 10, y: 20 },
  picture: { width: 100, height: 50 },
  panBy: () => undefined,
  zoomAt: () => undefined,
};
const onScreen = (x: number, y: number) => ({ x: 2 * x + 10, y: 2 * y + 20 });

function start(state: Partial<StudioState> = {}, answers: Partial<Record<keyof Session, unknown>> = {}, stage = STAGE) {
  const { session, commands } = answeringSession(state, { objectAt: null, ...answers });
  const asked: unknown[] = [];
  const prompted: unknown[] = [];
  let changes = 0;
  const listener: HandListener = {
    asked: (question, time) => asked.push([question, time]),
    prompted: (prompt, time) => prompted.push([prompt, time]),
    changed: () => changes++,
  };
  const hand = new Hand(session, stage, listener);
  /** Commands that change something. */
  const orders = () => commands.filter(([name]) => name !== "objectAt" && name !== "pointAt");
  return { hand, session, commands, orders, asked, prompted, changes: () => changes };
}

function clicked(...clicks: [number, number, boolean][]): Prompts {
  return { clicks: clicks.map(([x, y, positive]) => ({ x, y, positive })), box: null, choice: null, base: null };
}

describe("clicks", () => {
  it.each<[ToolName, typeof PLUS, boolean]>([
    ["segment", PLUS, true],
    ["segment", MINUS, false],
    ["remove", PLUS, false],
    ["remove", MINUS, false],
    ["box", PLUS, true],
    ["box", MINUS, false],
  ])("of the %s tool (%o) are prompts in pixels of the picture", (tool, kind, positive) => {
    const { hand, orders, prompted } = start({ tool });
    hand.click(onScreen(30, 40), kind, 123);
    expect(orders()).toEqual([["click", { x: 30, y: 40 }, positive]]);
    expect(prompted).toEqual([[{ x: 30, y: 40, positive }, 123]]);
  });

  it.each<ToolName>(["segment", "remove", "box", "everything", "pan"])("beside the picture do nothing (%s)", (tool) => {
    const { hand, orders } = start({ tool, hoveredProposal: "p" });
    hand.click(onScreen(-1, 10), PLUS, 0);
    hand.click(onScreen(100.5, 10), MINUS, 0);
    expect(orders()).toEqual([]);
  });

  it("do nothing while no picture is shown", () => {
    const { hand, orders } = start({}, {}, { ...STAGE, picture: null });
    hand.click({ x: 50, y: 50 }, PLUS, 0);
    expect(orders()).toEqual([]);
  });

  it.each([
    ["within eight pixels of the screen", 33.9, [["removeClick", "a", 1]]],
    ["farther away", 34.1, [["click", { x: 34.1, y: 10 }, true]]],
  ])("on a point of the selected object remove it, %s", (_, x, expected) => {
    const objects = [objectState("a", { prompts: clicked([5, 5, true], [30, 10, false]) })];
    const { hand, orders, prompted } = start({ objects, selected: "a" });
    hand.click(onScreen(x, 10), PLUS, 0);
    expect(orders()).toEqual(expected);
    expect(prompted).toHaveLength(expected[0]?.[0] === "click" ? 1 : 0);
  });

  it("do not touch points of objects that are not selected", () => {
    const objects = [objectState("a", { prompts: clicked([5, 5, true]) })];
    const { hand, orders } = start({ objects });
    hand.click(onScreen(5, 5), PLUS, 0);
    expect(orders()).toEqual([["click", { x: 5, y: 5 }, true]]);
  });

  it("of the select tool take up what is under the pointer, and let go beside it and beside the picture", () => {
    const on = start({ tool: "select" }, { objectAt: "a" });
    on.hand.click(onScreen(5, 5), PLUS, 0);
    expect(on.orders()).toEqual([["select", "a"]]);
    const beside = start({ tool: "select" });
    beside.hand.click(onScreen(5, 5), PLUS, 0);
    beside.hand.click(onScreen(-5, 5), PLUS, 0);
    expect(beside.orders()).toEqual([
      ["select", null],
      ["select", null],
    ]);
  });

  it("of the everything tool accept or reject the proposal under the pointer, which a finger points at first", () => {
    const { hand, commands } = start({ tool: "everything", hoveredProposal: "p" });
    hand.click(onScreen(5, 5), PLUS, 0);
    hand.click(onScreen(6, 6), MINUS, 0);
    expect(commands.filter(([name]) => name !== "objectAt")).toEqual([
      ["pointAt", { x: 5, y: 5 }],
      ["acceptProposal", "p"],
      ["pointAt", { x: 6, y: 6 }],
      ["rejectProposal", "p"],
    ]);
  });

  it("of the everything tool do nothing where there is no proposal", () => {
    const { hand, orders } = start({ tool: "everything" });
    hand.click(onScreen(5, 5), PLUS, 0);
    expect(orders()).toEqual([]);
  });
});

describe("double clicks", () => {
  it("undo the prompt of the first one and take up the object that was under it", () => {
    const { hand, orders } = start({ objects: [objectState("a")] }, { objectAt: "a" });
    hand.click(onScreen(5, 5), PLUS, 0);
    hand.click(onScreen(5, 5), AGAIN, 0);
    expect(orders().slice(1)).toEqual([["undo"], ["select", "a"]]);
  });

  it("are one click where there is no other object", () => {
    const { hand, orders } = start({ objects: [objectState("a")], selected: "a" }, { objectAt: "a" });
    hand.click(onScreen(5, 5), PLUS, 0);
    hand.click(onScreen(5, 5), AGAIN, 0);
    expect(orders()).toEqual([["click", { x: 5, y: 5 }, true]]);
  });

  it("undo nothing where the first one was no prompt", () => {
    const { hand, orders } = start({ tool: "pan", objects: [objectState("a")] }, { objectAt: "a" });
    hand.click(onScreen(5, 5), PLUS, 0);
    hand.click(onScreen(5, 5), AGAIN, 0);
    expect(orders()).toEqual([["select", "a"]]);
  });

  it("by the right button are one click", () => {
    const { hand, orders } = start({ objects: [objectState("a")] }, { objectAt: "a" });
    hand.click(onScreen(5, 5), MINUS, 0);
    hand.click(onScreen(5, 5), { negative: true, again: true }, 0);
    expect(orders()).toEqual([["click", { x: 5, y: 5 }, false]]);
  });
});

describe("pointing", () => {
  it("tells the session where in the picture, and when it is left; the listener gets the very object", () => {
    const { hand, commands, asked } = start();
    hand.hover(onScreen(7, 8), 55);
    hand.hover(onScreen(-7, 8), 56);
    hand.hover(null, 57);
    const points = commands.filter(([name]) => name === "pointAt").map(([, point]) => point);
    expect(points).toEqual([{ x: 7, y: 8 }, null, null]);
    expect(asked).toEqual([[{ x: 7, y: 8 }, 55]]);
    expect((asked[0] as unknown[])[0]).toBe(points[0]);
  });

  it("points again when the picture has moved under the pointer, and only then", () => {
    const stage = { ...STAGE };
    const { hand, commands } = start({}, {}, stage);
    hand.hover(onScreen(7, 8), 0);
    hand.pointAgain(1);
    stage.viewport = { scale: 2, x: 12, y: 20 };
    hand.pointAgain(2);
    expect(commands.filter(([name]) => name === "pointAt").map(([, point]) => point)).toEqual([
      { x: 7, y: 8 },
      { x: 6, y: 8 },
    ]);
  });

  it("marks the point that a click would remove, and says so once", () => {
    const objects = [objectState("a", { prompts: clicked([5, 5, true]) })];
    const { hand, session, changes } = start({ objects, selected: "a" });
    hand.hover(onScreen(5, 6), 0);
    hand.hover(onScreen(6, 6), 0);
    expect(hand.marked.click).toMatchObject({ object: "a", index: 0 });
    expect(changes()).toBe(1);
    session.state.setState({ selected: null });
    hand.mark();
    expect(hand.marked.click).toBeNull();
    expect(changes()).toBe(2);
  });

  it("marks the object that a click of the select tool would take up", () => {
    const { hand, commands } = start({ tool: "select" }, { objectAt: "a" });
    hand.hover(onScreen(5, 6), 0);
    hand.hover(onScreen(6, 6), 0);
    expect(hand.marked.object).toBe("a");
    hand.hover(null, 0);
    expect(hand.marked.object).toBeNull();
    expect(commands.filter(([name]) => name.endsWith("mark"))).toEqual([
      ["mark", "a", "stage"],
      ["unmark", "a", "stage"],
    ]);
  });
});

describe("drags", () => {
  it.each<[ToolName, boolean]>([
    ["box", true],
    ["segment", false],
    ["remove", false],
    ["select", false],
    ["everything", false],
    ["pan", false],
  ])("are taken by the box tool alone (%s)", (tool, takes) => {
    expect(start({ tool }).hand.takesDrag()).toBe(takes);
  });

  it("make a box clipped to the picture, previewed on the way", () => {
    const { hand, orders, asked, prompted } = start({ tool: "box" });
    hand.drag(onScreen(20, 30), onScreen(10, 10), 1);
    expect(hand.dragged).toEqual({ from: { x: 20, y: 30 }, to: { x: 10, y: 10 } });
    hand.drop(onScreen(20, 30), onScreen(-10, 90), 2);
    expect(hand.dragged).toBeNull();
    expect(orders()).toEqual([
      ["dragBox", [10, 10, 20, 30]],
      ["addBox", [0, 30, 20, 50]],
      ["dragBox", null],
    ]);
    expect(asked).toEqual([[[10, 10, 20, 30], 1]]);
    expect(prompted).toEqual([[[0, 30, 20, 50], 2]]);
  });

  it("make nothing beside the picture", () => {
    const { hand, orders } = start({ tool: "box" });
    hand.drag(onScreen(-20, 0), onScreen(-10, 40), 1);
    hand.drop(onScreen(-20, 0), onScreen(-10, 40), 2);
    expect(orders()).toEqual([
      ["dragBox", null],
      ["dragBox", null],
    ]);
  });

  it("make nothing when they are given up", () => {
    const { hand, orders } = start({ tool: "box" });
    hand.drag(onScreen(1, 1), onScreen(9, 9), 1);
    hand.cancelDrag();
    expect(orders()).toEqual([
      ["dragBox", [1, 1, 9, 9]],
      ["dragBox", null],
    ]);
    expect(hand.dragged).toBeNull();
  });
});
