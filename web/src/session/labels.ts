import { NetworkError, type Api } from "../api/client";
import type { StoreApi } from "zustand/vanilla";
import type { Keepsakes } from "../sync/keepsakes";
import type { StudioState } from "./session";

export interface LabelsOptions {
  api: Pick<Api, "putLabels">;
  keepsakes: Keepsakes;
  state: StoreApi<StudioState>;
  onFault(error: unknown): void;
  /** The server has given objects with these labels new ones. */
  onRename(renamed: ReadonlyMap<string, string>): void;
}

/** An order as it is kept until the server has got it, and what the server had before. */
interface KeptLabels {
  known: readonly string[];
  labels: readonly string[];
}

const NAME = "labels";

/** The project's labels, in the order of their number keys. */
export class Labels {
  readonly #options: LabelsOptions;
  /** What the server said last. */
  #known: readonly string[] = [];
  /** An order that the server has not got. */
  #unsent: readonly string[] | null = null;
  #isSending = false;

  constructor(options: LabelsOptions) {
    this.#options = options;
  }

  set(labels: readonly string[]): void {
    const cleaned = [...new Set(labels.map(cleanLabel).filter((label) => label !== null))];
    this.#options.state.setState({ labels: cleaned });
    this.#setUnsent(cleaned);
    this.send();
  }

  /** Begin with what the server says, and an order that an earlier visit could not send. */
  async start(labels: readonly string[]): Promise<void> {
    const { keepsakes, state } = this.#options;
    this.take(labels);
    const kept = (await keepsakes.get(state.getState().project?.id ?? "", NAME)) as KeptLabels | null;
    if (kept === null || this.#unsent !== null) return;
    // What came in elsewhere since then stays.
    const since = state
      .getState()
      .labels.filter((label) => !kept.known.includes(label) && !kept.labels.includes(label));
    this.set([...kept.labels, ...since]);
  }

  /**
   * Give labels other names, on all objects that have them; a name that another label has makes the two one. It begins
   * once nothing waits to be saved, so that what was done before is done to the objects as they were.
   *
   * @param labels - all labels in their order, under their new names.
   * @throws Error where the server cannot be reached or refuses; nothing is renamed then.
   */
  async rename(labels: readonly string[], renamed: ReadonlyMap<string, string>): Promise<void> {
    const { api, state, onRename } = this.#options;
    const project = state.getState().project?.id;
    if (project === undefined) throw new Error(NOT_REACHED);
    await this.#untilSaved();
    let stored;
    try {
      stored = await api.putLabels(project, labels, renamed);
    } catch (error) {
      throw error instanceof NetworkError ? new Error(NOT_REACHED, { cause: error }) : error;
    }
    this.#known = stored;
    this.#setUnsent(null);
    const { stickyLabel } = state.getState();
    state.setState({ labels: stored, stickyLabel: renamed.get(stickyLabel ?? "") ?? stickyLabel });
    onRename(renamed);
  }

  #setUnsent(labels: readonly string[] | null): void {
    const { keepsakes, state } = this.#options;
    this.#unsent = labels;
    const project = state.getState().project?.id;
    const kept: KeptLabels | null = labels && { known: this.#known, labels };
    if (project !== undefined) void keepsakes.put(project, NAME, kept);
  }

  #untilSaved(): Promise<void> {
    const { state } = this.#options;
    return new Promise((resolve, reject) => {
      const look = () => {
        const { unsaved, saving, serverLost, decoding } = state.getState();
        if (serverLost || saving === "offline") reject(new Error(NOT_REACHED));
        else if (saving === "failed") reject(new Error("Changes wait to be saved: labels can be renamed after that."));
        else if (unsaved === 0 && !decoding) resolve();
        else return;
        unsubscribe();
      };
      const unsubscribe = state.subscribe(look);
      look();
    });
  }

  /** A label that an object has got; the server adds it to the end of its list as well. */
  use(label: string | null): void {
    const { labels } = this.#options.state.getState();
    if (label === null || labels.includes(label)) return;
    this.#options.state.setState({ labels: [...labels, label] });
    if (this.#unsent !== null) this.#setUnsent([...this.#unsent, label]);
  }

  /** What the server says they are, unless another order is on its way to it. */
  take(labels: readonly string[]): void {
    this.#known = labels;
    if (this.#unsent === null) this.#options.state.setState({ labels });
  }

  /** Send the order that the server has not got; where it cannot be reached, it is kept for when it can. */
  send(): void {
    if (this.#unsent !== null && !this.#isSending) void this.#send(this.#unsent);
  }

  async #send(labels: readonly string[]): Promise<void> {
    const { api, state, onFault } = this.#options;
    const project = state.getState().project?.id;
    if (project === undefined) return;
    this.#isSending = true;
    try {
      const stored = await api.putLabels(project, labels, new Map());
      this.#known = stored;
      if (this.#unsent === labels) {
        this.#setUnsent(null);
        this.take(stored);
      }
    } catch (error) {
      if (error instanceof NetworkError) {
        this.#isSending = false;
        return;
      }
      if (this.#unsent === labels) this.#setUnsent(null);
      onFault(error);
    }
    this.#isSending = false;
    this.send();
  }
}

const NOT_REACHED = "The server cannot be reached: labels can be renamed when it is back.";
const LONGEST_LABEL = 200;

/** A label as the server writes it: one form for what looks the same; null for one that is empty. */
export function cleanLabel(label: string | null): string | null {
  const plain =
    label
      ?.normalize("NFC")
      .replaceAll(/[\s\p{Cc}]+/gu, " ")
      .trim() ?? "";
  const cleaned = Array.from(plain).slice(0, LONGEST_LABEL).join("").trim();
  return cleaned === "" ? null : cleaned;
}
