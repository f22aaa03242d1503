import type { Bounds, Point, Size } from "./shapes";

/** How a picture lies in a window: screen = picture * scale + (x, y), in CSS pixels from the window's top left corner. */
export interface Viewport {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

export interface ScaleLimits {
  readonly minimum: number;
  readonly maximum: number;
}

/** One step of the zoom commands. */
export const ZOOM_STEP = Math.SQRT2;

const LARGEST_SCALE = 64;
/** Pixels of the window that a picture which was moved away still covers. */
const KEPT_IN_SIGHT = 64;
const WHEEL_ZOOM = 0.0015;
const PINCH_ZOOM = 0.01;
/** No single event zooms more than this, however far a free wheel spins. */
const LARGEST_FACTOR = 2;

/** Show the whole picture in the middle of the window, with a margin around it; small pictures are magnified. */
export function fit(picture: Size, window: Size, margin = 24): Viewport {
  const inner = { width: Math.max(window.width - 2 * margin, 1), height: Math.max(window.height - 2 * margin, 1) };
  const scale = Math.min(inner.width / picture.width, inner.height / picture.height, LARGEST_SCALE);
  return centred(picture, window, scale);
}

/** Show one pixel of the picture as one of the device, with the place in the middle of the window kept. */
export function actualSize(view: Viewport, window: Size, devicePixelRatio = 1): Viewport {
  const scale = 1 / devicePixelRatio;
  return zoomAt(view, middle(window), scale / view.scale, { minimum: scale, maximum: scale });
}

/** Show a rectangle of the picture as large as it fits into the window. */
export function fitBounds(bounds: Bounds, window: Size, margin = 24): Viewport {
  const [x0, y0, x1, y1] = bounds;
  const view = fit({ width: Math.max(x1 - x0, 1), height: Math.max(y1 - y0, 1) }, window, margin);
  return { scale: view.scale, x: view.x - x0 * view.scale, y: view.y - y0 * view.scale };
}

/** Scales between which a picture can be looked at: from half of what fits, or of full size if that is less. */
export function scaleLimits(picture: Size, window: Size): ScaleLimits {
  return { minimum: Math.min(fit(picture, window).scale, 1) / 2, maximum: LARGEST_SCALE };
}

/** Change the scale by a factor, within limits; what is at a point of the screen stays there. */
export function zoomAt(view: Viewport, screen: Point, factor: number, limits: ScaleLimits): Viewport {
  const scale = Math.min(Math.max(view.scale * factor, limits.minimum), limits.maximum);
  const change = scale / view.scale;
  return { scale, x: screen.x - (screen.x - view.x) * change, y: screen.y - (screen.y - view.y) * change };
}

/** Move the picture by pixels of the screen. */
export function pan(view: Viewport, x: number, y: number): Viewport {
  return { scale: view.scale, x: view.x + x, y: view.y + y };
}

/** From a point of the window to that of the picture. */
export function toPicture(view: Viewport, screen: Point): Point {
  return { x: (screen.x - view.x) / view.scale, y: (screen.y - view.y) / view.scale };
}

/** From a point of the picture to that of the window. */
export function toScreen(view: Viewport, picture: Point): Point {
  return { x: picture.x * view.scale + view.x, y: picture.y * view.scale + view.y };
}

/** Move a picture that is almost out of the window back, so that a part of it can be seen. */
export function clamp(view: Viewport, picture: Size, window: Size): Viewport {
  return {
    scale: view.scale,
    x: clampAxis(view.x, picture.width * view.scale, window.width),
    y: clampAxis(view.y, picture.height * view.scale, window.height),
  };
}

/** The part of the picture that the window shows, in whole pixels that are at least partly seen; null if none is. */
export function visiblePart(view: Viewport, picture: Size, window: Size): Bounds | null {
  const first = toPicture(view, { x: 0, y: 0 });
  const last = toPicture(view, { x: window.width, y: window.height });
  const [x0, y0] = [Math.max(Math.floor(first.x), 0), Math.max(Math.floor(first.y), 0)];
  const [x1, y1] = [Math.min(Math.ceil(last.x), picture.width), Math.min(Math.ceil(last.y), picture.height)];
  return x0 < x1 && y0 < y1 ? [x0, y0, x1, y1] : null;
}

/** Keep the place in the middle when the window changes its size. */
export function resize(view: Viewport, before: Size, after: Size): Viewport {
  return pan(view, (after.width - before.width) / 2, (after.height - before.height) / 2);
}

/**
 * By how much to zoom for a turn of the wheel or a pinch of two fingers.
 *
 * @param delta - pixels that the browser tells, downwards. A notch of a wheel is about a hundred.
 * @param isPinch - pinches come as wheels too, with steps of a few pixels.
 */
export function wheelFactor(delta: number, isPinch = false): number {
  const factor = Math.exp(-delta * (isPinch ? PINCH_ZOOM : WHEEL_ZOOM));
  return Math.min(Math.max(factor, 1 / LARGEST_FACTOR), LARGEST_FACTOR);
}

function centred(picture: Size, window: Size, scale: number): Viewport {
  return {
    scale,
    x: (window.width - picture.width * scale) / 2,
    y: (window.height - picture.height * scale) / 2,
  };
}

function middle(window: Size): Point {
  return { x: window.width / 2, y: window.height / 2 };
}

function clampAxis(offset: number, length: number, window: number): number {
  const kept = Math.min(KEPT_IN_SIGHT, length, window);
  return Math.min(Math.max(offset, kept - length), window - kept);
}
