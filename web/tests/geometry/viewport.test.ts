import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  actualSize,
  clamp,
  fit,
  fitBounds,
  pan,
  resize,
  scaleLimits,
  toPicture,
  toScreen,
  visiblePart,
  wheelFactor,
  zoomAt,
} from "../../src/geometry/viewport";

const WINDOW = { width: 1200, height: 800 };

const lengths = fc.integer({ min: 1, max: 20_000 });
const sizes = fc.record({ width: lengths, height: lengths });
const numbers = fc.double({ min: -1e5, max: 1e5, noNaN: true });
const viewports = fc.record({ scale: fc.double({ min: 0.01, max: 64, noNaN: true }), x: numbers, y: numbers });
const points = fc.record({ x: numbers, y: numbers });

describe("a viewport", () => {
  it("maps points there and back", () => {
    fc.assert(
      fc.property(viewports, points, (view, point) => {
        const back = toPicture(view, toScreen(view, point));
        expect(back.x).toBeCloseTo(point.x, 3);
        expect(back.y).toBeCloseTo(point.y, 3);
      }),
    );
  });

  it("that fits shows the whole picture in the middle, as large as it can be", () => {
    fc.assert(
      fc.property(sizes, (picture) => {
        const view = fit(picture, WINDOW, 24);
        const first = toScreen(view, { x: 0, y: 0 });
        const last = toScreen(view, { x: picture.width, y: picture.height });
        expect(first.x + last.x).toBeCloseTo(WINDOW.width, 3);
        expect(first.y + last.y).toBeCloseTo(WINDOW.height, 3);
        expect(Math.min(first.x, first.y)).toBeGreaterThanOrEqual(24 - 1e-6);
        if (view.scale < 64) expect(Math.min(first.x, first.y)).toBeCloseTo(24, 3);
        expect(visiblePart(view, picture, WINDOW)).toEqual([0, 0, picture.width, picture.height]);
      }),
    );
  });

  it("that fits a rectangle shows it in the middle", () => {
    const view = fitBounds([100, 200, 200, 250], WINDOW, 100);
    expect(view.scale).toBe(10);
    expect(toScreen(view, { x: 150, y: 225 })).toEqual({ x: 600, y: 400 });
  });

  it("fits even where the window has no room", () => {
    expect(fit({ width: 10, height: 10 }, { width: 0, height: 0 }).scale).toBeGreaterThan(0);
  });

  it("keeps what is under the pointer when it zooms, and stays within the limits", () => {
    fc.assert(
      fc.property(viewports, points, fc.double({ min: 0.01, max: 100, noNaN: true }), (view, screen, factor) => {
        const limits = { minimum: 0.005, maximum: 64 };
        const zoomed = zoomAt(view, screen, factor, limits);
        expect(zoomed.scale).toBeGreaterThanOrEqual(limits.minimum);
        expect(zoomed.scale).toBeLessThanOrEqual(limits.maximum);
        const [before, after] = [toPicture(view, screen), toPicture(zoomed, screen)];
        const error = Math.max(Math.abs(after.x - before.x), Math.abs(after.y - before.y));
        expect(error * zoomed.scale).toBeLessThan(1e-3);
      }),
    );
  });

  it("at actual size has one pixel for one, and the same middle", () => {
    const view = { scale: 0.3, x: 17, y: -40 };
    const middle = { x: 600, y: 400 };
    const actual = actualSize(view, WINDOW, 2);
    expect(actual.scale).toBe(0.5);
    expect(toPicture(actual, middle).x).toBeCloseTo(toPicture(view, middle).x, 6);
  });

  it("can always be zoomed to what fits and to full size", () => {
    fc.assert(
      fc.property(sizes, (picture) => {
        const { minimum, maximum } = scaleLimits(picture, WINDOW);
        expect(minimum).toBeLessThan(Math.min(fit(picture, WINDOW).scale, 1));
        expect(maximum).toBeGreaterThanOrEqual(Math.max(fit(picture, WINDOW).scale, 1));
      }),
    );
  });

  it("cannot lose the picture", () => {
    fc.assert(
      fc.property(viewports, sizes, (view, picture) => {
        const clamped = clamp(view, picture, WINDOW);
        const [left, top] = [clamped.x, clamped.y];
        const [right, bottom] = [left + picture.width * view.scale, top + picture.height * view.scale];
        const seenAcross = Math.min(right, WINDOW.width) - Math.max(left, 0);
        const seenDown = Math.min(bottom, WINDOW.height) - Math.max(top, 0);
        expect(seenAcross).toBeGreaterThan(Math.min(64, picture.width * view.scale) - 1e-3);
        expect(seenDown).toBeGreaterThan(Math.min(64, picture.height * view.scale) - 1e-3);
        expect(clamp(clamped, picture, WINDOW)).toEqual(clamped);
      }),
    );
  });

  it("that is well in sight stays where it is", () => {
    const view = { scale: 1, x: -300, y: 100 };
    expect(clamp(view, { width: 1000, height: 1000 }, WINDOW)).toEqual(view);
  });

  it("tells which part of the picture is seen", () => {
    const picture = { width: 100, height: 100 };
    expect(visiblePart({ scale: 20, x: -210, y: -1990 }, picture, WINDOW)).toEqual([10, 99, 71, 100]);
    expect(visiblePart({ scale: 1, x: 5000, y: 0 }, picture, WINDOW)).toBeNull();
  });

  it("keeps its middle when the window grows", () => {
    const view = { scale: 2, x: 10, y: 20 };
    const larger = { width: 1400, height: 700 };
    expect(toPicture(resize(view, WINDOW, larger), { x: 700, y: 350 })).toEqual(toPicture(view, { x: 600, y: 400 }));
    expect(pan(view, 3, -4)).toEqual({ scale: 2, x: 13, y: 16 });
  });
});

describe("a wheel", () => {
  it("zooms in upwards, and back again by the same turn", () => {
    expect(wheelFactor(-100)).toBeGreaterThan(1.1);
    expect(wheelFactor(-100) * wheelFactor(100)).toBeCloseTo(1, 10);
    expect(wheelFactor(0)).toBe(1);
  });

  it("that is a pinch has smaller steps for the same zoom", () => {
    expect(wheelFactor(-5, true)).toBeGreaterThan(wheelFactor(-5));
  });

  it("that spins freely does not throw the picture away", () => {
    expect(wheelFactor(-1e6)).toBe(2);
    expect(wheelFactor(1e6, true)).toBe(0.5);
  });
});
