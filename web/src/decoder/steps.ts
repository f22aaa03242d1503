import type { Box, Click, Prompts } from "../api/types";
import type { Frame } from "../geometry/frame";
import type { Point, Size } from "../geometry/shapes";
import { DecoderError } from "./protocol";

/** What a point means to the network. */
const LABELS = { filler: -1, background: 0, foreground: 1, topLeft: 2, bottomRight: 3 };

/** One question to the network. */
export interface Step {
  clicks: readonly Click[];
  box: Box | null;
  /** Run lengths of the mask that it refines; further steps refine the answer of the step before. */
  base: string | null;
  /** Whether it is a lone click, to which there are three answers. */
  isAmbiguous: boolean;
  /** Two steps of the same picture with the same key have the same answer. */
  key: string;
}

/** Prompts as the network takes them: (x, y) in pixels of the model's input, and what each point means. */
export interface Tokens {
  coords: Float32Array;
  labels: Float32Array;
}

/**
 * The questions that prompts consist of: base, box and first click together, then each further click.
 *
 * @param size - of the picture, to which a box is clipped.
 * @throws DecoderError where there is nothing to ask with, or a number is none.
 */
export function stepsOf(prompts: Prompts, size: Size): [Step, ...Step[]] {
  const { clicks, base } = prompts;
  if (clicks.length === 0 && prompts.box === null && base === null) {
    throw new DecoderError("There is nothing to find an object with: click on it, or draw a box around it.");
  }
  if (![...clicks.flatMap(({ x, y }) => [x, y]), ...(prompts.box ?? [])].every(Number.isFinite)) {
    throw new DecoderError("A click or box has no place in the picture: make it again.");
  }
  const box = prompts.box && clipped(prompts.box, size);
  const isAmbiguous = clicks.length > 0 && box === null && base === null;
  // What the first step's mask was decides all that follow it.
  const taken = isAmbiguous ? prompts.choice : null;
  const step = (count: number, isFirst: boolean): Step => {
    const places = clicks.slice(0, count).map(({ x, y, positive }) => [x, y, positive]);
    return {
      clicks: clicks.slice(0, count),
      box,
      base: isFirst ? base : null,
      isAmbiguous: isFirst && isAmbiguous,
      key: JSON.stringify([places, box, isFirst ? null : taken, base]),
    };
  };
  const first = step(Math.min(1, clicks.length), true);
  return [first, ...clicks.slice(1).map((_, i) => step(i + 2, false))];
}

/** Bring a step's clicks and box into the model's frame; without a box a filler ends them. */
export function tokensOf(step: Step, frame: Frame): Tokens {
  const points: [Point, number][] = step.clicks.map((click) => [
    click,
    click.positive ? LABELS.foreground : LABELS.background,
  ]);
  if (step.box !== null) {
    const [x0, y0, x1, y1] = step.box;
    points.push([{ x: x0, y: y0 }, LABELS.topLeft], [{ x: x1, y: y1 }, LABELS.bottomRight]);
  } else if (points.length > 0) {
    points.push([{ x: 0, y: 0 }, LABELS.filler]);
  }
  const coords = points.map(([point]) => frame.toModel(point)).flatMap(({ x, y }) => [x, y]);
  return { coords: Float32Array.from(coords), labels: Float32Array.from(points, ([, label]) => label) };
}

function clipped([x0, y0, x1, y1]: Box, { width, height }: Size): Box {
  const box: Box = [Math.max(x0, 0), Math.max(y0, 0), Math.min(x1, width), Math.min(y1, height)];
  if (box[2] <= box[0] || box[3] <= box[1]) {
    throw new DecoderError("The box is empty or outside of the picture: draw it around the object.");
  }
  return box;
}
