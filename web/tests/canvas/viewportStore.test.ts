import { describe, expect, it } from "vitest";
import { createStage } from "../../src/canvas/viewportStore";
import { toPicture, toScreen } from "../../src/geometry/viewport";

const WINDOW = { width: 1000, height: 800 };
const LARGE = { width: 4000, height: 3000 };
const SMALL = { width: 100, height: 200 };

function start(picture = LARGE) {
  const stage = createStage();
  stage.setWindow(WINDOW, 1);
  stage.show(1, picture);
  return stage;
}

describe("a stage", () => {
  it("shows a new picture as a whole, in the middle", () => {
    const stage = start();
    const first = toScreen(stage.viewport, { x: 0, y: 0 });
    const last = toScreen(stage.viewport, { x: 4000, y: 3000 });
    expect(first.x).toBeGreaterThan(0);
    expect(first.y).toBeGreaterThan(0);
    expect(first.x + last.x).toBeCloseTo(1000);
    expect(first.y + last.y).toBeCloseTo(800);
  });

  it("fits the picture whichever is known first, the window or the picture", () => {
    const stage = createStage();
    stage.show(1, LARGE);
    stage.setWindow(WINDOW, 1);
    expect(stage.viewport).toEqual(start().viewport);
  });

  it("keeps the picture fitted when the window changes, but not once it was moved", () => {
    const stage = start();
    stage.setWindow({ width: 500, height: 400 }, 1);
    expect(stage.viewport.scale).toBeLessThan(start().viewport.scale);
    stage.zoomIn();
    const { scale } = stage.viewport;
    const middle = toPicture(stage.viewport, { x: 250, y: 200 });
    stage.setWindow({ width: 900, height: 700 }, 1);
    expect(stage.viewport.scale).toBe(scale);
    const after = toPicture(stage.viewport, { x: 450, y: 350 });
    expect(after.x).toBeCloseTo(middle.x);
    expect(after.y).toBeCloseTo(middle.y);
  });

  it("zooms to a point", () => {
    const stage = start();
    const at = { x: 300, y: 200 };
    const before = toPicture(stage.viewport, at);
    stage.zoomAt(at, 3);
    const after = toPicture(stage.viewport, at);
    expect(stage.viewport.scale).toBeCloseTo(3 * start().viewport.scale);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("zooms in and out by the same step about the middle", () => {
    const stage = start();
    const before = stage.viewport;
    stage.zoomIn();
    stage.zoomOut();
    expect(stage.viewport.scale).toBeCloseTo(before.scale);
    expect(stage.viewport.x).toBeCloseTo(before.x);
  });

  it("shows one pixel of the picture as one of the screen", () => {
    const stage = createStage();
    stage.setWindow(WINDOW, 2);
    stage.show(1, LARGE);
    stage.actualSize();
    expect(stage.viewport.scale).toBe(0.5);
    expect(stage.state.getState().fitted).toBe(false);
  });

  it("never loses the picture out of sight", () => {
    const stage = start(SMALL);
    stage.panBy(-1e6, 1e6);
    const last = toScreen(stage.viewport, { x: SMALL.width, y: 0 });
    expect(last.x).toBeGreaterThan(0);
    expect(last.y).toBeLessThan(WINDOW.height);
  });

  it("puts the picture onto whole pixels of the screen when it rests", () => {
    const stage = createStage();
    stage.setWindow(WINDOW, 2);
    stage.show(1, LARGE);
    stage.panBy(10.3, 0.1);
    stage.settle();
    const { x, y } = stage.viewport;
    expect([2 * x, 2 * y]).toEqual([Math.round(2 * x), Math.round(2 * y)]);
    const settled = stage.viewport;
    stage.settle();
    expect(stage.viewport).toBe(settled);
  });

  it("shows a picture as it was when it is opened again, and fitted if it was left so", () => {
    const stage = start();
    stage.zoomAt({ x: 100, y: 100 }, 4);
    const view = stage.viewport;
    stage.show(2, SMALL);
    const fitted = stage.viewport;
    stage.show(1, LARGE);
    expect(stage.viewport).toEqual(view);
    expect(stage.state.getState().fitted).toBe(false);
    stage.show(2, SMALL);
    expect(stage.viewport).toEqual(fitted);
    expect(stage.state.getState().fitted).toBe(true);
  });

  it("does not move when the same picture is shown again", () => {
    const stage = start();
    stage.panBy(5, 5);
    const view = stage.viewport;
    stage.show(1, { ...LARGE });
    expect(stage.viewport).toBe(view);
  });

  it("takes the size that the browser has decoded where nobody has told another", () => {
    const stage = createStage();
    stage.setWindow(WINDOW, 1);
    stage.show(1, null);
    expect(stage.picture).toBeNull();
    stage.decoded(2, SMALL);
    expect(stage.picture).toBeNull();
    stage.decoded(1, LARGE);
    expect(stage.picture).toEqual(LARGE);
    expect(stage.viewport).toEqual(start().viewport);
    stage.show(1, SMALL);
    expect(stage.picture).toEqual(SMALL);
  });

  it("does nothing without a picture", () => {
    const stage = createStage();
    stage.setWindow(WINDOW, 1);
    const before = stage.viewport;
    stage.zoomIn();
    stage.zoomOut();
    stage.fit();
    stage.actualSize();
    stage.panBy(1, 1);
    stage.settle();
    expect(stage.viewport).toBe(before);
  });
});
