import type { ObjectState, Proposal } from "../api/types";
import type { RunLengths } from "../geometry/rle";

/** A proposal that overlaps an object more than this shows nothing new. */
const MOST_OVERLAP = 0.8;

/** Which proposals show an object that is there already; what was found for an object is kept as long as its mask. */
export class Overlaps {
  readonly #proposals: readonly Proposal[];
  readonly #mask: (of: Pick<ObjectState, "id" | "counts">) => RunLengths;
  readonly #covered = new Map<string, { counts: string; proposals: ReadonlySet<string> }>();

  constructor(proposals: readonly Proposal[], mask: (of: Pick<ObjectState, "id" | "counts">) => RunLengths) {
    this.#proposals = proposals;
    this.#mask = mask;
  }

  /** Proposals that are neither decided nor shown by an object. */
  open(objects: readonly ObjectState[]): Proposal[] {
    const hidden = new Set<string>();
    for (const object of objects) {
      if (object.status !== "deleted") hidden.add(object.id);
      if (object.status === "present") for (const id of this.#coveredBy(object)) hidden.add(id);
    }
    return this.#proposals.filter((proposal) => !hidden.has(proposal.id));
  }

  #coveredBy(object: ObjectState): ReadonlySet<string> {
    const known = this.#covered.get(object.id);
    if (known?.counts === object.counts) return known.proposals;
    const mask = this.#mask(object);
    const same = this.#proposals.filter((proposal) => {
      const ratio = proposal.area / mask.area;
      return ratio >= MOST_OVERLAP && ratio <= 1 / MOST_OVERLAP && this.#mask(proposal).iou(mask) > MOST_OVERLAP;
    });
    const proposals = new Set(same.map((proposal) => proposal.id));
    this.#covered.set(object.id, { counts: object.counts, proposals });
    return proposals;
  }
}
