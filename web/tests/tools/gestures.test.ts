import { describe, expect, it } from "vitest";
import type { Point } from "../../src/geometry/shapes";
import { Gestures, type GestureTarget, type PointerInput } from "../../src/tools/gestures";

type Event = [string, ...unknown[]];

/** Writes down what gestures come to. */
class Recorder implements GestureTarget {
  events: Event[] = [];
  constructor(private readonly dragsWithTool: boolean) {}

  hover(at: Point | null): void {
    this.events.push(["hover", at && [at.x, at.y]]);
  }
  click(at: Point, kind: { negative: boolean; again: boolean }): void {
    this.events.push(["click", at.x, at.y, kind.negative ? "-" : "+", ...(kind.again ? ["again"] : [])]);
  }
  takesDrag(): boolean {
    return this.dragsWithTool;
  }
  drag(from: Point, to: Point): void {
    this.events.push(["drag", from.x, from.y, to.x, to.y]);
  }
  drop(from: Point, to: Point): void {
    this.events.push(["drop", from.x, from.y, to.x, to.y]);
  }
  cancelDrag(): void {
    this.events.push(["cancel"]);
  }
  pan(dx: number, dy: number): void {
    this.events.push(["pan", dx, dy]);
  }
  zoom(at: Point, factor: number): void {
    this.events.push(["zoom", at.x, at.y, factor]);
  }
  /** What happened, without where the pointer only rested or moved. */
  get deeds(): Event[] {
    return this.events.filter(([name]) => name !== "hover");
  }
}

function start(dragsWithTool = false): { gestures: Gestures; recorder: Recorder } {
  const recorder = new Recorder(dragsWithTool);
  return { gestures: new Gestures(recorder), recorder };
}

function input(x: number, y: number, more: Partial<PointerInput> = {}): PointerInput {
  return { x, y, id: 1, kind: "mouse", button: 0, inverted: false, time: 0, ...more };
}

const finger = (id: number, x: number, y: number) => input(x, y, { id, kind: "touch" });

describe("clicks", () => {
  it("counts where the button went down, as long as it moves no more than four pixels", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(10, 10));
    gestures.move(input(14, 10));
    gestures.up(input(14, 10));
    expect(recorder.deeds).toEqual([["click", 10, 10, "+"]]);
  });

  it.each([
    ["the right button", { button: 2 }],
    ["the eraser of a pen", { button: 5, kind: "pen" as const }],
    ["the inverting key", { inverted: true }],
  ])("is negative by %s", (_, how) => {
    const { gestures, recorder } = start();
    gestures.down(input(1, 2, how));
    gestures.up(input(1, 2, how));
    expect(recorder.deeds).toEqual([["click", 1, 2, "-"]]);
  });

  it("tells the second of a double click", () => {
    const { gestures, recorder } = start();
    gestures.down(input(1, 1));
    gestures.up(input(1, 1));
    gestures.down(input(1, 1));
    gestures.pressedAgain();
    gestures.up(input(1, 1));
    expect(recorder.deeds).toEqual([
      ["click", 1, 1, "+"],
      ["click", 1, 1, "+", "again"],
    ]);
  });

  it("is nothing once the right button has moved away, or the pointer was taken", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(0, 0, { button: 2 }));
    gestures.move(input(30, 0));
    gestures.up(input(0, 0, { button: 2 }));
    gestures.down(input(0, 0));
    gestures.cancel(1);
    gestures.up(input(0, 0));
    expect(recorder.deeds).toEqual([]);
  });

  it("does not mind a second button or another pointer meanwhile", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(0, 0));
    gestures.down(input(5, 5, { button: 2 }));
    gestures.move(input(90, 90, { id: 7 }));
    gestures.up(input(90, 90, { id: 7 }));
    gestures.up(input(0, 0));
    expect(recorder.deeds).toEqual([["click", 0, 0, "+"]]);
  });
});

describe("hovering", () => {
  it("follows the pointer, also while a button is down, and ends when it leaves", () => {
    const { gestures, recorder } = start();
    gestures.move(input(1, 1));
    gestures.down(input(1, 1));
    gestures.move(input(2, 2));
    gestures.up(input(2, 2));
    gestures.leave(0);
    expect(recorder.events.filter(([name]) => name === "hover")).toEqual([
      ["hover", [1, 1]],
      ["hover", [2, 2]],
      ["hover", [2, 2]],
      ["hover", null],
    ]);
  });

  it("is not done by fingers", () => {
    const { gestures, recorder } = start();
    gestures.down(finger(1, 5, 5));
    gestures.move(finger(1, 6, 6));
    gestures.up(finger(1, 6, 6));
    expect(recorder.events).toEqual([["click", 5, 5, "+"]]);
  });
});

describe("dragging", () => {
  it("belongs to the tool if it takes drags, from where the button went down", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(10, 10));
    gestures.move(input(20, 15));
    gestures.move(input(200, 150));
    expect(gestures.drags).toBe(true);
    gestures.up(input(210, 160));
    expect(recorder.deeds).toEqual([
      ["drag", 10, 10, 20, 15],
      ["drag", 10, 10, 200, 150],
      ["drop", 10, 10, 210, 160],
    ]);
    expect(gestures.drags).toBe(false);
  });

  it("moves the picture if the tool takes none", () => {
    const { gestures, recorder } = start(false);
    gestures.down(input(10, 10));
    gestures.move(input(20, 15));
    gestures.move(input(21, 17));
    gestures.up(input(21, 17));
    expect(recorder.deeds).toEqual([
      ["pan", 10, 5],
      ["pan", 1, 2],
    ]);
  });

  it("is given up by Escape, and the release of the button does nothing more", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(0, 0));
    gestures.move(input(50, 50));
    gestures.escape();
    gestures.move(input(60, 60));
    gestures.up(input(60, 60));
    expect(recorder.deeds).toEqual([["drag", 0, 0, 50, 50], ["cancel"]]);
    gestures.down(input(1, 1));
    gestures.up(input(1, 1));
    expect(recorder.deeds.at(-1)).toEqual(["click", 1, 1, "+"]);
  });

  it("is given up when the browser takes the pointer away", () => {
    const { gestures, recorder } = start(true);
    gestures.down(input(0, 0));
    gestures.move(input(50, 50));
    gestures.cancel(1);
    gestures.up(input(50, 50));
    expect(recorder.deeds.at(-1)).toEqual(["cancel"]);
  });
});

describe("panning", () => {
  it.each([
    ["the middle button", { button: 1 }, false],
    ["the left one while Space is held", { button: 0 }, true],
  ])("is done by %s in any tool, at once", (_, how, space) => {
    const { gestures, recorder } = start(true);
    gestures.space(space);
    gestures.down(input(0, 0, how));
    gestures.move(input(1, 2));
    gestures.up(input(1, 2, how));
    expect(recorder.deeds).toEqual([["pan", 1, 2]]);
  });

  it("shows no mask while Space is held, and again after it", () => {
    const { gestures, recorder } = start();
    gestures.space(true);
    expect(gestures.pans).toBe(true);
    gestures.move(input(3, 3));
    gestures.space(false);
    gestures.move(input(4, 4));
    expect(recorder.events).toEqual([
      ["hover", null],
      ["hover", [4, 4]],
    ]);
  });

  it("goes on when Space is let go before the button", () => {
    const { gestures, recorder } = start(true);
    gestures.space(true);
    gestures.down(input(0, 0));
    gestures.space(false);
    gestures.move(input(9, 0));
    expect(recorder.deeds).toEqual([["pan", 9, 0]]);
  });
});

describe("two fingers", () => {
  it("move and zoom about their middle, whatever the tool", () => {
    const { gestures, recorder } = start(true);
    gestures.down(finger(1, 0, 0));
    gestures.down(finger(2, 100, 0));
    gestures.move(finger(2, 200, 0));
    expect(recorder.deeds).toEqual([
      ["pan", 50, 0],
      ["zoom", 100, 0, 2],
    ]);
  });

  it("make no click and no box of what the first one began", () => {
    const { gestures, recorder } = start(true);
    gestures.down(finger(1, 0, 0));
    gestures.move(finger(1, 40, 0));
    gestures.down(finger(2, 100, 0));
    gestures.up(finger(1, 40, 0));
    gestures.up(finger(2, 100, 0));
    expect(recorder.deeds).toEqual([["drag", 0, 0, 40, 0], ["cancel"]]);
    expect(gestures.busy).toBe(false);
  });

  it("go on as one that moves the picture, and take a new second one", () => {
    const { gestures, recorder } = start();
    gestures.down(finger(1, 0, 0));
    gestures.down(finger(2, 100, 0));
    gestures.up(finger(1, 0, 0));
    gestures.move(finger(2, 110, 0));
    gestures.down(finger(3, 10, 0));
    gestures.move(finger(3, 60, 0));
    expect(recorder.deeds).toEqual([
      ["pan", 10, 0],
      ["pan", 25, 0],
      ["zoom", 85, 0, 0.5],
    ]);
  });

  it("are not disturbed by a third", () => {
    const { gestures, recorder } = start();
    gestures.down(finger(1, 0, 0));
    gestures.down(finger(2, 100, 0));
    gestures.down(finger(3, 50, 50));
    gestures.move(finger(3, 80, 80));
    gestures.up(finger(3, 80, 80));
    expect(recorder.deeds).toEqual([]);
    expect(gestures.busy).toBe(true);
  });
});
