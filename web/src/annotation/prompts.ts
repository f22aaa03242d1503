import type { Box, Click, ObjectState, Prompts } from "../api/types";

const NOTHING: Prompts = { clicks: [], box: null, choice: null, base: null };

export function boxPrompts(box: Box): Prompts {
  return { ...NOTHING, box };
}

/**
 * What further clicks on an object are added to: its own prompts if this model answered them; else none, with its mask as
 * the base, so that refining an imported mask, or one of another model, starts from what is seen.
 *
 * @param object - null for one that is not there yet.
 * @param model - fingerprint of the model that will answer.
 */
export function promptsToRefine(object: ObjectState | null, model: string): Prompts {
  if (object === null) return NOTHING;
  if (object.prompts !== null && object.model === model) return object.prompts;
  return { ...NOTHING, base: object.counts };
}

export function withClick(prompts: Prompts, click: Click): Prompts {
  return { ...prompts, clicks: [...prompts.clicks, click] };
}

/** The reading was chosen for the first click, and goes with it. */
export function withoutClick(prompts: Prompts, index: number): Prompts {
  return {
    ...prompts,
    clicks: prompts.clicks.filter((_, i) => i !== index),
    choice: index === 0 ? null : prompts.choice,
  };
}

export function withChoice(prompts: Prompts, choice: number): Prompts {
  return { ...prompts, choice };
}

/** Whether nothing is asked; a base alone asks nothing. */
export function asksNothing(prompts: Prompts): boolean {
  return prompts.clicks.length === 0 && prompts.box === null;
}

/** The click of prompts that have three readings, else null. */
export function loneClick(prompts: Prompts | null): Click | null {
  if (prompts?.clicks.length !== 1 || prompts.box !== null || prompts.base !== null) return null;
  return prompts.clicks[0] ?? null;
}

export function sameClick(a: Click, b: Click): boolean {
  return a.x === b.x && a.y === b.y && a.positive === b.positive;
}

export function samePrompts(a: Prompts | null, b: Prompts | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.choice === b.choice &&
    a.base === b.base &&
    String(a.box) === String(b.box) &&
    a.clicks.length === b.clicks.length &&
    a.clicks.every((click, i) => {
      const other = b.clicks[i];
      return other !== undefined && sameClick(click, other);
    })
  );
}
