import type { Box, Click, ObjectState } from "../api/types";

interface PendingPrompt {
  prompt: Click | Box;
  /** timeStamp of the pointer's event, in milliseconds. */
  time: number;
}

/** How far a kept coordinate may be from the asked one, in pixels of the picture. */
const ROUNDED = 0.51;

/** Clicks and boxes that no mask answers yet, with the times of their events, oldest first. */
export class PendingPrompts {
  #all: readonly PendingPrompt[] = [];

  add(prompt: Click | Box, time: number): void {
    this.#all = [...this.#all, { prompt, time }];
  }

  /** Take out those that the objects now hold; returns the times of their events. */
  takeAnswered(objects: readonly ObjectState[]): number[] {
    const answered = this.#all.filter(({ prompt }) => objects.some((object) => holds(object, prompt)));
    if (answered.length > 0) this.#all = this.#all.filter((pending) => !answered.includes(pending));
    return answered.map(({ time }) => time);
  }

  /** Nothing will be answered any more. */
  clear(): void {
    this.#all = [];
  }
}

function isBox(prompt: Click | Box): prompt is Box {
  return Array.isArray(prompt);
}

function holds({ prompts }: ObjectState, prompt: Click | Box): boolean {
  if (prompts === null) return false;
  if (isBox(prompt)) return prompts.box?.every((side, i) => isNear(side, prompt[i])) ?? false;
  return prompts.clicks.some(
    ({ x, y, positive }) => positive === prompt.positive && isNear(x, prompt.x) && isNear(y, prompt.y),
  );
}

function isNear(a: number, b: number | undefined): boolean {
  return b !== undefined && Math.abs(a - b) <= ROUNDED;
}
