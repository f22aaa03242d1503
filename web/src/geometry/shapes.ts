/** A point (x, y) in pixels of the picture, origin at its top left corner, unless said otherwise. */
export interface Point {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** (x0, y0, x1, y1), x1 and y1 exclusive. */
export type Bounds = [number, number, number, number];

/** Closed rings of x, y, x, y, …; filled by the even-odd rule, so that holes are rings too. */
export type Rings = Float32Array[];
