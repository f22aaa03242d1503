/** What a mask is painted with. Widths in CSS pixels. */
export interface MaskLook {
  fill: string;
  line: string;
  fillAlpha: number;
  lineWidth: number;
  lineAlpha: number;
  /** A dark line under the line, by how much wider; 0 for none. */
  halo: number;
}

const HALO = "rgb(0 0 0 / 60%)";

/** An object among others. */
export function objectLook(color: string): MaskLook {
  return { fill: color, line: color, fillAlpha: 0.32, lineWidth: 1.5, lineAlpha: 0.95, halo: 0 };
}

/** The object that clicks refine. */
export function selectedLook(color: string): MaskLook {
  return { fill: color, line: color, fillAlpha: 0.42, lineWidth: 2.25, lineAlpha: 1, halo: 2.5 };
}

/** What a click would make: outlined in white, until it is made. */
export function previewLook(color: string): MaskLook {
  return { fill: color, line: "#ffffff", fillAlpha: 0.36, lineWidth: 1.75, lineAlpha: 1, halo: 2.25 };
}

/** A mask that was computed ahead and waits for a yes or no. */
export const PROPOSAL_LOOK: MaskLook = {
  fill: "#ffffff",
  line: "#ffffff",
  fillAlpha: 0.06,
  lineWidth: 1.25,
  lineAlpha: 0.9,
  halo: 1.75,
};

/** The proposal that a click would accept. */
export function acceptableLook(color: string): MaskLook {
  return { fill: color, line: color, fillAlpha: 0.4, lineWidth: 2.5, lineAlpha: 1, halo: 2.5 };
}

/** The object that a click would take up. */
export function markedLook(color: string): MaskLook {
  return { fill: color, line: color, fillAlpha: 0.25, lineWidth: 2.5, lineAlpha: 1, halo: 2.5 };
}

/**
 * Paint a mask in the coordinates that the context is in.
 *
 * @param pixel - length of a CSS pixel in these coordinates.
 */
export function paintMask(context: CanvasRenderingContext2D, path: Path2D, look: MaskLook, pixel: number): void {
  context.lineJoin = "round";
  context.globalAlpha = look.fillAlpha;
  context.fillStyle = look.fill;
  context.fill(path, "evenodd");
  if (look.halo > 0) {
    context.globalAlpha = look.lineAlpha;
    context.strokeStyle = HALO;
    context.lineWidth = (look.lineWidth + look.halo) * pixel;
    context.stroke(path);
  }
  context.globalAlpha = look.lineAlpha;
  context.strokeStyle = look.line;
  context.lineWidth = look.lineWidth * pixel;
  context.stroke(path);
  context.globalAlpha = 1;
}
