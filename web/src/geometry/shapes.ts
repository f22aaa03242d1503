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

/** Rings of x, y, x, y, …, each closed from its last point to its first; filled by even-odd, so that holes are rings too. */
export type Rings = Float32Array[];
