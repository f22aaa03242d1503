import { describe, expect, it } from "vitest";
import { Wheel, type WheelInput } from "../../src/tools/wheel";

const turn = (more: Partial<WheelInput>): WheelInput => ({
  deltaX: 0,
  deltaY: 0,
  deltaMode: 0,
  ctrl: false,
  shift: false,
  ...more,
});

describe("Wheel", () => {
  it("zooms by a mouse's wheel", () => {
    expect(new Wheel().read(turn({ deltaY: 120 }))).toEqual({ does: "zoom", delta: 120, pinch: false });
  });

  it("counts lines and pages as pixels", () => {
    expect(new Wheel().read(turn({ deltaY: 3, deltaMode: 1 }))).toEqual({ does: "zoom", delta: 48, pinch: false });
    expect(new Wheel().read(turn({ deltaY: -1, deltaMode: 2 }))).toEqual({ does: "zoom", delta: -400, pinch: false });
  });

  it("takes small steps with Control for a pinch, and whole notches for a wheel", () => {
    expect(new Wheel().read(turn({ deltaY: 4.5, ctrl: true }))).toEqual({ does: "zoom", delta: 4.5, pinch: true });
    expect(new Wheel().read(turn({ deltaY: 120, ctrl: true }))).toEqual({ does: "zoom", delta: 120, pinch: false });
  });

  it("pans sideways with Shift, however the browser tells it", () => {
    expect(new Wheel().read(turn({ deltaY: 120, shift: true }))).toEqual({ does: "pan", dx: -120, dy: 0 });
    expect(new Wheel().read(turn({ deltaX: 120, shift: true }))).toEqual({ does: "pan", dx: -120, dy: 0 });
  });

  it("pans by a touchpad once that has moved sideways, until a whole notch of a wheel comes", () => {
    const wheel = new Wheel();
    expect(wheel.read(turn({ deltaY: 5 })).does).toBe("zoom");
    expect(wheel.read(turn({ deltaX: 2, deltaY: 5 }))).toEqual({ does: "pan", dx: -2, dy: -5 });
    expect(wheel.read(turn({ deltaY: 7 }))).toEqual({ does: "pan", dx: -0, dy: -7 });
    expect(wheel.read(turn({ deltaY: 3, ctrl: true })).does).toBe("zoom");
    expect(wheel.read(turn({ deltaY: 120 })).does).toBe("zoom");
    expect(wheel.read(turn({ deltaY: 5 })).does).toBe("zoom");
  });
});
