/** A wheel event as far as it matters; deltas as in WheelEvent. */
export interface WheelInput {
  deltaX: number;
  deltaY: number;
  /** As in WheelEvent: 0 pixels, 1 lines, 2 pages. */
  deltaMode: number;
  ctrl: boolean;
  shift: boolean;
}

export type WheelMeaning = { does: "zoom"; delta: number; pinch: boolean } | { does: "pan"; dx: number; dy: number };

const PIXELS_PER_LINE = 16;
const PIXELS_PER_PAGE = 400;
/** A notch of a mouse's wheel is at least this many pixels in the browsers. */
const NOTCH = 100;

/**
 * Tells what turning a wheel, or two fingers on a touchpad, mean.
 *
 * Browsers send both as the same event. A wheel with Control (which is how a touchpad's pinch arrives) and a mouse's
 * wheel zoom; with Shift, and on a touchpad, they pan. A touchpad is known by its sideways movement, and forgotten as
 * soon as a whole notch arrives.
 */
export class Wheel {
  private touchpad = false;

  read(input: WheelInput): WheelMeaning {
    const unit = input.deltaMode === 1 ? PIXELS_PER_LINE : input.deltaMode === 2 ? PIXELS_PER_PAGE : 1;
    const dx = input.deltaX * unit;
    const dy = input.deltaY * unit;
    if (input.ctrl) return { does: "zoom", delta: dy, pinch: input.deltaMode === 0 && Math.abs(dy) < NOTCH };
    if (input.shift) return { does: "pan", dx: -(dx || dy), dy: 0 };
    if (dx !== 0) this.touchpad = input.deltaMode === 0;
    else if (input.deltaMode !== 0 || Math.abs(dy) >= NOTCH) this.touchpad = false;
    if (this.touchpad) return { does: "pan", dx: -dx, dy: -dy };
    return { does: "zoom", delta: dy, pinch: false };
  }
}
