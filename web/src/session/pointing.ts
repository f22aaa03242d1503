import type { Box } from "../api/types";
import { boxPrompts } from "../annotation/prompts";
import type { Decoder, Preview } from "../decoder/decoder";
import { boxBetween, isInside } from "../geometry/boxes";
import type { Point } from "../geometry/shapes";
import type { Desk } from "./desk";
import type { PreviewListener } from "./session";

export interface PointingOptions {
  desk: Desk;
  decoder: Pick<Decoder, "hover" | "preview">;
  /** Whether the decoder can answer for a picture. */
  isReady(picture: number): boolean;
  onFault(error: unknown): void;
}

/** What follows the pointer: the mask under it, and that of a box that is being dragged. */
export class Pointing {
  readonly #options: PointingOptions;
  readonly #listeners = new Set<PreviewListener>();
  #pointer: Point | null = null;
  #dragged: Box | null = null;
  /** The object whose first answer takes the preview's place; until then that stays as it is. */
  #frozenFor: string | null = null;
  /** Answers to questions before this one are not shown. */
  #since = 0;
  #asked = 0;
  #isShown = false;

  constructor(options: PointingOptions) {
    this.#options = options;
  }

  get pointer(): Point | null {
    return this.#pointer;
  }

  listen(listener: PreviewListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  pointAt(point: Point | null): void {
    this.#pointer = point;
    if (this.#dragged === null) this.refresh();
  }

  dragBox(box: Box | null): void {
    const { desk, decoder } = this.#options;
    this.#dragged = box;
    if (box === null) {
      if (this.#frozenFor === null) this.clear();
      return;
    }
    this.#frozenFor = null;
    const picture = desk.document?.id;
    const size = desk.document?.size;
    if (picture === undefined || !size || !this.#options.isReady(picture)) return;
    const [x0, y0, x1, y1] = box;
    const inside = boxBetween({ x: x0, y: y0 }, { x: x1, y: y1 }, size);
    if (inside) void this.#ask(box, () => decoder.preview(picture, boxPrompts(inside)));
  }

  /** Show what belongs to where the pointer is, such as when another tool was chosen. */
  refresh(): void {
    const { desk, decoder } = this.#options;
    if (this.#frozenFor !== null || this.#dragged !== null) return;
    const point = this.#pointer;
    const picture = this.#hoverable();
    if (point === null || picture === null) this.clear();
    else if (desk.document?.size && isInside(point, desk.document.size)) {
      void this.#ask(point, () => decoder.hover(picture, point));
    } else this.clear();
  }

  /** Show what is under the pointer if nothing is shown, such as when an embedding has come. */
  start(): void {
    if (!this.#isShown) this.refresh();
  }

  /** Keep the preview as it is until an object's first answer has come. */
  freeze(object: string): void {
    this.#since = ++this.#asked;
    this.#dragged = null;
    this.#frozenFor = object;
  }

  /** An object's first answer has come, or will not come. */
  thaw(object: string): void {
    if (this.#frozenFor !== object) return;
    this.#frozenFor = null;
    this.clear();
    this.refresh();
  }

  /** Show nothing, whatever is still being answered. */
  clear(): void {
    this.#since = ++this.#asked;
    if (this.#isShown) this.#show(null, null);
  }

  /** Follow the pointer again, as the object for which the preview was kept is not awaited any more. */
  unfreeze(): void {
    this.#frozenFor = null;
    this.refresh();
  }

  /** Start anew with another picture. */
  reset(): void {
    this.#frozenFor = null;
    this.#dragged = null;
    this.clear();
  }

  #hoverable(): number | null {
    const { desk, isReady } = this.#options;
    const { tool, selected } = desk.state.getState();
    const picture = desk.document?.id;
    return tool === "segment" && selected === null && picture !== undefined && isReady(picture) ? picture : null;
  }

  async #ask(asked: Point | Box, question: () => Promise<Preview | null>): Promise<void> {
    const number = ++this.#asked;
    try {
      const preview = await question();
      if (preview !== null && number > this.#since) {
        this.#since = number;
        this.#show(preview, asked);
      }
    } catch (error) {
      if (number > this.#since) this.#options.onFault(error);
    }
  }

  #show(preview: Preview | null, asked: Point | Box | null): void {
    this.#isShown = preview !== null;
    for (const listener of this.#listeners) listener(preview, asked);
  }
}
