import { ApiError, type Api } from "../api/client";
import { pause } from "../api/patience";
import type { DecoderFiles, DecoderState, Project, ServerStatus } from "../api/types";
import type { Decoder } from "../decoder/decoder";
import type { StoreApi } from "zustand/vanilla";
import type { Notices } from "./notices";
import type { StudioState } from "./session";
import type { Timing } from "./timing";

export interface ServerWatchOptions {
  api: Pick<Api, "project" | "status">;
  decoder: Decoder;
  state: StoreApi<StudioState>;
  notices: Notices;
  timing: Timing;
  signal: AbortSignal;
  /** The server can be reached again. */
  onBack(): void;
  /** The decoder can answer; `isOther` if another model did before. */
  onDecoder(isOther: boolean): void;
}

const MOST_ATTEMPTS = 3;

/** Asks the server how it is, gently, and loads the decoder once the server has it. */
export class ServerWatch {
  readonly #options: ServerWatchOptions;
  #loaded: string | null = null;
  /** The files that were tried last, and how often in vain. */
  #tried: string | null = null;
  #attempts = 0;
  #isLoading = false;
  #askNow: (() => void) | null = null;

  constructor(options: ServerWatchOptions) {
    this.#options = options;
  }

  /** Watch until the session ends. */
  async run(): Promise<void> {
    const { state, signal } = this.#options;
    while (!signal.aborted) {
      await this.#ask();
      const { serverLost, server, decoder } = state.getState();
      const isBusy = serverLost || decoder === "preparing" || decoder === "loading" || (server?.waiting ?? 0) > 0;
      await this.#rest(isBusy);
    }
  }

  /** Ask at once, such as when something else could not reach the server. */
  ask(): void {
    this.#askNow?.();
  }

  /** The server did not answer something. */
  lost(): void {
    const { state, timing, signal } = this.#options;
    if (state.getState().serverLost) return;
    state.setState({ serverLost: true });
    // Not at once, lest an answer that always breaks off be asked for without a pause.
    void pause(timing.statusSoon, signal).then(
      () => this.ask(),
      () => undefined,
    );
  }

  /** Take what the server says of the decoder's files, and load them if they are new. */
  async follow({ state: preparing, files, reason }: DecoderState): Promise<void> {
    const { state, notices } = this.#options;
    if (preparing === "ready" && files) {
      await this.#load(files);
    } else if (preparing === "failed") {
      if (state.getState().decoder !== "failed") {
        notices.notify("error", `The decoder could not be prepared: ${reason ?? "the server does not say why"}`);
      }
      state.setState({ decoder: "failed" });
    } else if (this.#loaded === null) {
      state.setState({ decoder: "preparing" });
    }
  }

  async #ask(): Promise<void> {
    const { api, state, signal, onBack } = this.#options;
    let status: ServerStatus;
    try {
      status = await api.status(signal);
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiError)) state.setState({ serverLost: true });
      return;
    }
    const { project, serverLost } = state.getState();
    if (project && status.project !== project.id) {
      this.#options.notices.notify(
        "warning",
        "Another folder is served at this address now. Reload the page to see it.",
      );
      return;
    }
    state.setState({ server: status, serverLost: false });
    if (serverLost) onBack();
    void this.follow(status.decoder);
  }

  async #load(files: DecoderFiles): Promise<void> {
    const { api, decoder, state, notices, signal, onDecoder } = this.#options;
    const name = JSON.stringify(files);
    if (this.#isLoading || this.#loaded === name) return;
    if (this.#tried !== name) this.#attempts = 0;
    if (this.#attempts >= MOST_ATTEMPTS) return;
    this.#tried = name;
    const isOther = this.#loaded !== null;
    this.#isLoading = true;
    try {
      const project: Project = await api.project(signal);
      if (!project.model || !project.decoder.files) return;
      state.setState({ project, decoder: "loading", backend: null });
      const backend = await decoder.load(project.decoder.files, project.model);
      this.#loaded = JSON.stringify(project.decoder.files);
      this.#attempts = 0;
      state.setState({ decoder: "ready", backend });
      onDecoder(isOther);
    } catch (error) {
      if (signal.aborted) return;
      if (++this.#attempts < MOST_ATTEMPTS) {
        state.setState({ decoder: "preparing" });
      } else {
        state.setState({ decoder: "failed" });
        notices.fault(error, "The decoder could not be started");
      }
    } finally {
      this.#isLoading = false;
    }
  }

  async #rest(isBusy: boolean): Promise<void> {
    const { timing, signal } = this.#options;
    const waking = new AbortController();
    this.#askNow = () => waking.abort();
    try {
      await pause(isBusy ? timing.statusSoon : timing.statusLate, AbortSignal.any([signal, waking.signal]));
    } catch {
      // Woken, or the session ended.
    }
    this.#askNow = null;
  }
}
