import { afterEach, describe, expect, it, vi } from "vitest";
import { objectLook } from "../../src/canvas/look";
import { ObjectsLayer, type MaskItem } from "../../src/canvas/objectsLayer";
import type { Paths } from "../../src/canvas/paths";
import type { Bounds, Rings } from "../../src/geometry/shapes";

const VIEW = { scale: 1, x: 0, y: 0 };
const BOUNDS: Bounds = [0, 0, 10, 10];

/** What lies on a canvas: names of the masks in their order. */
class FakeCanvas {
  width = 0;
  height = 0;
  style: Record<string, string> = {};
  content: string[] = [];
  ownerDocument = { createElement: () => hidden };

  getContext() {
    const clear = () => {
      this.content = [];
    };
    return {
      setTransform: () => undefined,
      clearRect: clear,
      fill: (path: unknown) => this.content.push(path as string),
      stroke: () => undefined,
      getImageData: () => undefined,
      drawImage: (source: FakeCanvas) => {
        this.content = [...source.content];
      },
    };
  }
}

let hidden = new FakeCanvas();

const names = new Map<Rings, string>();

function item(id: string, more: Partial<MaskItem> = {}): MaskItem {
  const rings: Rings = [];
  names.set(rings, id);
  return { id, counts: "1", look: objectLook("#123456"), rings: () => rings, ...more };
}

/** A layer whose masks take `cost` milliseconds each to paint. */
function start(cost = 0, bounds = BOUNDS) {
  hidden = new FakeCanvas();
  const front = new FakeCanvas();
  let now = 0;
  let painted = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const paths = {
    bounds: () => bounds,
    path: (rings: Rings) => {
      now += cost;
      painted++;
      return names.get(rings);
    },
  } as unknown as Paths;
  const layer = new ObjectsLayer(front as unknown as HTMLCanvasElement, paths);
  layer.resize({ width: 100, height: 100 }, 1);
  return { layer, front, painted: () => painted };
}

function finish(layer: ObjectsLayer, view = VIEW): number {
  for (let steps = 1; steps < 1000; steps++) if (layer.step(view)) return steps;
  throw new Error("The layer never came to an end.");
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("ObjectsLayer", () => {
  it("shows all masks in their order, at once where that is quick", () => {
    const { layer, front } = start();
    layer.set(["a", "b", "c"].map((id) => item(id)));
    expect(finish(layer)).toBe(1);
    expect(front.content).toEqual(["a", "b", "c"]);
    expect(front.style["transform"]).toBe("");
  });

  it("takes as many frames as it needs, and shows nothing by half", () => {
    const { layer, front } = start(3);
    layer.set([item("old")]);
    finish(layer);
    const many = Array.from({ length: 20 }, (_, i) => item(String(i)));
    layer.set(many);
    expect(layer.step(VIEW)).toBe(false);
    expect(front.content).toEqual(["old"]);
    expect(finish(layer)).toBeGreaterThan(3);
    expect(front.content).toEqual(many.map(({ id }) => id));
  });

  it("paints only what was added at the end", () => {
    const { layer, front, painted } = start();
    const items = [item("a"), item("b")];
    layer.set(items);
    finish(layer);
    layer.set([...items, item("c")]);
    finish(layer);
    expect(painted()).toBe(3);
    expect(front.content).toEqual(["a", "b", "c"]);
  });

  it("knows masks again that are given anew, by what they look like", () => {
    const { layer, painted } = start();
    layer.set([item("a")]);
    finish(layer);
    layer.set([item("a")]);
    finish(layer);
    expect(painted()).toBe(1);
  });

  it.each([
    ["another mask", { counts: "2" }],
    ["another colour", { look: objectLook("#abcdef") }],
    ["another object", { id: "x" }],
  ])("paints everything again for %s", (_, change) => {
    const { layer, painted } = start();
    layer.set([item("a"), item("b")]);
    finish(layer);
    layer.set([item("a", change), item("b")]);
    finish(layer);
    expect(painted()).toBe(4);
  });

  it("takes away what is gone", () => {
    const { layer, front } = start();
    layer.set([item("a"), item("b")]);
    finish(layer);
    layer.set([item("a")]);
    finish(layer);
    expect(front.content).toEqual(["a"]);
    layer.set([]);
    finish(layer);
    expect(front.content).toEqual([]);
  });

  it("moves and stretches what is shown while another viewport is painted, then lays it straight", () => {
    const { layer, front } = start(3);
    layer.set(Array.from({ length: 9 }, (_, i) => item(String(i))));
    finish(layer);
    const near = { scale: 2, x: 30, y: 40 };
    expect(layer.step(near)).toBe(false);
    expect(front.style["transform"]).toBe("translate(30px, 40px) scale(2)");
    finish(layer, near);
    expect(front.style["transform"]).toBe("");
  });

  it("comes to an end while the viewport moves on with every frame", () => {
    const { layer, front } = start(3);
    layer.set(Array.from({ length: 9 }, (_, i) => item(String(i))));
    for (let x = 0; x < 4; x++) layer.step({ scale: 1, x, y: 0 });
    expect(front.content).toHaveLength(9);
    expect(finish(layer, { scale: 1, x: 50, y: 0 })).toBeGreaterThan(1);
    expect(front.style["transform"]).toBe("");
  });

  it("does nothing more once it is done", () => {
    const { layer, painted } = start();
    layer.set([item("a")]);
    finish(layer);
    for (let i = 0; i < 5; i++) expect(layer.step(VIEW)).toBe(true);
    expect(painted()).toBe(1);
  });

  it("leaves out what cannot be seen, but for a line that reaches in", () => {
    const beside = start(0, [101, 0, 120, 10]);
    beside.layer.set([item("a")]);
    finish(beside.layer);
    expect(beside.painted()).toBe(1);
    const away = start(0, [103, 0, 120, 10]);
    away.layer.set([item("a")]);
    finish(away.layer);
    expect(away.painted()).toBe(0);
  });

  it("shows nothing of a picture that is gone", () => {
    const { layer, front } = start();
    layer.set([item("a")]);
    finish(layer);
    layer.clear();
    expect(front.content).toEqual([]);
  });

  it("waits without complaint while the stage has no size", () => {
    const { layer, painted } = start();
    layer.resize({ width: 0, height: 0 }, 1);
    layer.set([item("a")]);
    expect(layer.step(VIEW)).toBe(true);
    expect(painted()).toBe(0);
    layer.resize({ width: 10, height: 10 }, 2);
    finish(layer);
    expect(painted()).toBe(1);
  });
});
