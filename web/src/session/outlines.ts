import type { ObjectState, Proposal } from "../api/types";
import { traceMask } from "../geometry/contours";
import { RunLengths, RunLengthsError } from "../geometry/rle";
import type { Rings, Size } from "../geometry/shapes";

interface Shape {
  counts: string;
  mask: RunLengths | null;
  rings: Rings | null;
}

/** Masks of one picture, read and traced once each as long as they stay the same. */
export class Outlines {
  readonly #size: Size;
  readonly #shapes = new Map<string, Shape>();

  constructor(size: Size) {
    this.#size = size;
  }

  /** The mask of an object or proposal; an empty one where its run lengths are damaged. */
  mask(object: Pick<ObjectState | Proposal, "id" | "counts">): RunLengths {
    const shape = this.#shape(object.id, object.counts);
    return (shape.mask ??= read(object.counts, this.#size));
  }

  /** Its outline along the corners of pixels. */
  rings(object: Pick<ObjectState | Proposal, "id" | "counts">): Rings {
    const shape = this.#shape(object.id, object.counts);
    return (shape.rings ??= traceMask(this.mask(object)));
  }

  /** Take over an outline that is known already. */
  remember(id: string, counts: string, rings: Rings): void {
    this.#shape(id, counts).rings = rings;
  }

  #shape(id: string, counts: string): Shape {
    let shape = this.#shapes.get(id);
    if (shape?.counts !== counts) {
      shape = { counts, mask: null, rings: null };
      this.#shapes.set(id, shape);
    }
    return shape;
  }
}

function read(counts: string, size: Size): RunLengths {
  try {
    return RunLengths.fromCounts(counts, size);
  } catch (error) {
    if (error instanceof RunLengthsError) return new RunLengths(new Uint32Array(0), size);
    throw error;
  }
}
