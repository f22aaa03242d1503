import { NetworkError, type Api } from "../api/client";
import type { StoreApi } from "zustand/vanilla";
import type { StudioState } from "./session";

export interface LabelsOptions {
  api: Pick<Api, "putLabels">;
  state: StoreApi<StudioState>;
  onFault(error: unknown): void;
}

/** The project's labels, in the order of their number keys. */
export class Labels {
  readonly #options: LabelsOptions;
  /** An order that the server has not got. */
  #unsent: readonly string[] | null = null;
  #isSending = false;

  constructor(options: LabelsOptions) {
    this.#options = options;
  }

  set(labels: readonly string[]): void {
    const cleaned = [...new Set(labels.map(cleanLabel).filter((label) => label !== null))];
    this.#options.state.setState({ labels: cleaned });
    this.#unsent = cleaned;
    this.send();
  }

  /** A label that an object has got; the server adds it to the end of its list as well. */
  use(label: string | null): void {
    const { labels } = this.#options.state.getState();
    if (label !== null && !labels.includes(label)) this.#options.state.setState({ labels: [...labels, label] });
  }

  /** What the server says they are, unless another order is on its way to it. */
  take(labels: readonly string[]): void {
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
      const stored = await api.putLabels(project, labels);
      if (this.#unsent === labels) {
        this.#unsent = null;
        this.take(stored);
      }
    } catch (error) {
      if (error instanceof NetworkError) {
        this.#isSending = false;
        return;
      }
      if (this.#unsent === labels) this.#unsent = null;
      onFault(error);
    }
    this.#isSending = false;
    this.send();
  }
}

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
