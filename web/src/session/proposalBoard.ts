import type { Api } from "../api/client";
import { pause, untilReached } from "../api/patience";
import type { ObjectState, Proposal, Proposals } from "../api/types";
import { findObject, nextOrder, presentObjects } from "../annotation/objects";
import { Overlaps } from "../annotation/overlaps";
import { nextColor } from "../geometry/colors";
import { smallestAt } from "../geometry/hits";
import type { Point } from "../geometry/shapes";
import type { Desk } from "./desk";
import type { PictureDocument } from "./documents";
import type { Edit, Recorder } from "./recorder";
import type { Timing } from "./timing";

export interface ProposalBoardOptions {
  api: Pick<Api, "proposals">;
  desk: Desk;
  recorder: Recorder;
  timing: Timing;
  /** How many colours the palette has. */
  colors(): number;
  onFault(error: unknown): void;
}

const WAIT_SECONDS = 20;
/** At least this long between two questions, should the server not wait with its answer. */
const SHORTEST_POLL = 300;

/** The masks of everything mode for the open picture, and what is decided about them. */
export class ProposalBoard {
  readonly #options: ProposalBoardOptions;
  #document: PictureDocument | null = null;
  #found: Proposals | null = null;
  #overlaps: Overlaps | null = null;
  #loading: AbortController | null = null;
  #idle: ReturnType<typeof setTimeout> | undefined;
  /** What the open ones were found for. */
  #shownFor: readonly ObjectState[] | null = null;

  constructor(options: ProposalBoardOptions) {
    this.#options = options;
  }

  /** Start anew with the open picture. */
  reset(): void {
    this.close();
    this.#document = this.#options.desk.document;
    this.#found = null;
    this.#overlaps = null;
    this.#shownFor = null;
    this.#options.desk.state.setState({ proposals: null, hoveredProposal: null });
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    this.#loading?.abort();
    this.#loading = null;
  }

  /** The picture can be asked about: at once if somebody wants to see it, else when nothing has been done for a while. */
  consider(): void {
    const { desk, timing } = this.#options;
    const { tool, embedding } = desk.state.getState();
    // Without an embedding there is nothing to propose, and whoever needs one says why there is none.
    const isEncoded = embedding === "ready" || embedding === "loading";
    if (this.#found || this.#loading || !this.#document || !isEncoded) return;
    clearTimeout(this.#idle);
    this.#idle = undefined;
    if (tool === "everything") void this.#load(this.#document);
    else {
      const document = this.#document;
      this.#idle = setTimeout(() => void this.#load(document), timing.idle);
    }
  }

  /** Bring the open proposals in line with the objects. */
  refresh(): void {
    const { desk } = this.#options;
    const { document, outlines } = desk;
    if (!this.#found || !document || !outlines || document !== this.#document || !document.isLoaded) return;
    if (this.#shownFor === document.objects) return;
    this.#overlaps ??= new Overlaps(this.#found.masks, (of) => outlines.mask(of));
    this.#shownFor = document.objects;
    const proposals = this.#overlaps.open(document.objects);
    const { hoveredProposal } = desk.state.getState();
    const isOpen = proposals.some(({ id }) => id === hoveredProposal);
    desk.state.setState({ proposals, hoveredProposal: isOpen ? hoveredProposal : null });
  }

  pointAt(point: Point | null): void {
    const { state, outlines } = this.#options.desk;
    if (this.#idle !== undefined) this.consider();
    const { tool, proposals, hoveredProposal } = state.getState();
    let hovered: string | null = null;
    if (tool === "everything" && proposals && outlines && point) {
      hovered = smallestAt(
        proposals.map((proposal) => [proposal.id, outlines.mask(proposal)] as const),
        point,
      );
    }
    if (hovered !== hoveredProposal) state.setState({ hoveredProposal: hovered });
  }

  accept(proposals: readonly Proposal[]): void {
    this.#decide("accept", proposals, "present");
  }

  reject(proposals: readonly Proposal[]): void {
    this.#decide("reject", proposals, "rejected");
  }

  /** An open proposal by its id. */
  find(proposal: string): Proposal[] {
    return this.open.filter(({ id }) => id === proposal);
  }

  get open(): readonly Proposal[] {
    return this.#options.desk.state.getState().proposals ?? [];
  }

  #decide(action: string, proposals: readonly Proposal[], status: "present" | "rejected"): void {
    const { desk, recorder, colors } = this.#options;
    const document = this.#document;
    if (!document || !this.#found) return;
    const { model } = this.#found;
    const used = presentObjects(document.objects).map((object) => object.color);
    const highest = nextOrder(document.objects);
    const label = status === "present" ? desk.state.getState().stickyLabel : null;
    const edits = proposals.map(({ id, counts, score }, i): Edit => {
      const known = findObject(document.objects, id);
      const color = known?.color ?? nextColor(used, colors());
      used.push(color);
      return {
        object: id,
        status,
        counts,
        prompts: null,
        label: known?.label ?? label,
        color,
        visible: true,
        order: known?.order ?? highest + i,
        score,
        source: "automatic",
        finished: true,
        model,
      };
    });
    recorder.change(document, action, edits);
  }

  async #load(document: PictureDocument): Promise<void> {
    const { api, timing, onFault, desk } = this.#options;
    const loading = new AbortController();
    const { signal } = loading;
    this.#loading = loading;
    this.#idle = undefined;
    try {
      while (!this.#found) {
        const ask = () => api.proposals(document.id, WAIT_SECONDS, signal);
        const answer = await untilReached(ask, timing.connection, signal);
        if (signal.aborted) return;
        if (answer.state === "ready") this.#found = answer;
        else await pause(SHORTEST_POLL, signal);
      }
      this.refresh();
    } catch (error) {
      if (signal.aborted) return;
      if (desk.state.getState().tool === "everything") onFault(error);
    }
    if (this.#loading === loading) this.#loading = null;
  }
}
