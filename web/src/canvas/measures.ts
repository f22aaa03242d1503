/** From a movement of the pointer to the mask that answers it. */
export const POINTER_TO_MASK = "anymask:pointer-to-mask";
/** From a click, or the end of a drag, to the object's mask. */
export const CLICK_TO_MASK = "anymask:click-to-mask";

/** The browser keeps all measures; after so many of a kind they are cleared, as a page may be open for days. */
const KEPT = 5000;

/** Measures how long masks take, as performance entries, each from a pointer's event until after the next painting. */
export class Measures {
  #asked = new WeakMap<object, number>();
  readonly #counts = new Map<string, number>();
  readonly #channel = new MessageChannel();
  #due: { name: string; start: number }[] = [];

  constructor() {
    this.#channel.port1.onmessage = () => {
      this.record();
    };
  }

  /** The session was asked something by an event of this time. */
  asked(question: object, time: number): void {
    this.#asked.set(question, time);
  }

  /** What was asked so far may be answered again, but not because of the pointer. */
  forget(): void {
    this.#asked = new WeakMap();
  }

  /** The time at which something was asked; null if it never was. */
  timeOf(question: object | null): number | null {
    return (question && this.#asked.get(question)) ?? null;
  }

  /** What answers an event of this time is painted in this frame. */
  painted(name: string, start: number): void {
    // The message arrives when the frame has been handed to the browser.
    if (this.#due.length === 0) this.#channel.port2.postMessage(null);
    this.#due.push({ name, start });
  }

  close(): void {
    this.#channel.port1.close();
  }

  private record(): void {
    const end = performance.now();
    for (const { name, start } of this.#due) {
      const count = (this.#counts.get(name) ?? 0) + 1;
      if (count > KEPT) performance.clearMeasures(name);
      this.#counts.set(name, count > KEPT ? 1 : count);
      performance.measure(name, { start: Math.min(start, end), end });
    }
    this.#due = [];
  }
}
