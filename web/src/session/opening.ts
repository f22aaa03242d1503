import { ApiError, type Api } from "../api/client";
import { untilReached } from "../api/patience";
import type { Picture } from "../api/types";
import type { KeptHistory } from "../annotation/keptHistory";
import type { Size } from "../geometry/shapes";
import type { Outbox } from "../sync/outbox";
import type { Desk } from "./desk";
import { Documents, sizeOf, type PictureDocument } from "./documents";
import type { Notices } from "./notices";
import type { Timing } from "./timing";

export interface OpeningOptions {
  api: Pick<Api, "pictures" | "openPicture">;
  outbox: Outbox;
  desk: Desk;
  notices: Notices;
  timing: Timing;
  signal: AbortSignal;
  /** Whether a picture must be kept, whatever its age. */
  isNeeded(picture: number): boolean;
  /** What was done to a picture's objects on an earlier visit; null where that is not known. */
  keptHistory(picture: number): Promise<KeptHistory | null>;
  /** Another picture lies open; its objects may not have come yet. */
  onOpen(document: PictureDocument): void;
  /**
   * A picture's objects have come, or have come again.
   *
   * @param isQuiet - whether they are just what the server and the outbox have.
   */
  onObjects(document: PictureDocument, isQuiet: boolean): void;
  /** The size of a picture that is not open is known now. */
  onSize(): void;
}

const PAGE = 1000;
const PATIENCE = 4;

/** The list of pictures, and going from one to another. */
export class Opening {
  readonly #options: OpeningOptions;
  readonly #documents = new Documents();
  /** Pictures whose size was asked for. */
  readonly #looked = new Set<number>();
  readonly #refreshing = new Map<PictureDocument, Promise<void>>();

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  /** Follow what the server has done to all objects with these labels. */
  renameLabels(renamed: ReadonlyMap<string, string>): void {
    for (const document of this.#documents.all) document.renameLabels(renamed);
    if (this.#options.desk.document) void this.#refresh(this.#options.desk.document);
  }

  document(picture: number): PictureDocument | null {
    return this.#documents.get(picture);
  }

  /** List all pictures, and as soon as it is known which one was open last, or else which is first, open it. */
  async start(wanted: number | null): Promise<void> {
    if (wanted !== null) await this.openById(wanted);
    await this.list();
  }

  /** Read the list of pictures, a page at a time; what was opened meanwhile stays as it is here. */
  async list(): Promise<void> {
    const { api, desk, timing, signal } = this.#options;
    const listed: Picture[] = [];
    for (let total = Infinity; listed.length < total;) {
      const ask = () => api.pictures(listed.length, PAGE, signal);
      const page = await untilReached(ask, timing.connection, signal);
      if (page.pictures.length === 0) break;
      total = page.total;
      listed.push(...page.pictures);
      const { pictures } = desk.state.getState();
      desk.state.setState({
        pictures: [...listed.map((picture) => this.#known(picture)), ...pictures.slice(listed.length)],
      });
      if (!desk.document && listed[0]) this.open(listed[0].id);
    }
    desk.state.setState({ pictures: listed.map((picture) => this.#known(picture)) });
  }

  /** Open a picture that may not be listed yet, or not be there any more. */
  async openById(picture: number): Promise<void> {
    const { api, desk, timing, signal } = this.#options;
    try {
      const opened = await untilReached(() => api.openPicture(picture, signal), timing.connection, signal);
      if (!desk.document) this.#open(opened.picture);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  open(picture: number): void {
    const { desk } = this.#options;
    const listed = desk.state.getState().pictures.find(({ id }) => id === picture);
    if (listed && desk.document?.id !== picture) this.#open(listed);
  }

  /** The picture that is some places further in the list. */
  neighbour(by: number): Picture | null {
    const { desk } = this.#options;
    const { pictures } = desk.state.getState();
    const index = pictures.findIndex(({ id }) => id === desk.document?.id);
    return index < 0 ? null : (pictures[index + by] ?? null);
  }

  /** A picture's size, as far as the list tells it. */
  size(picture: number): Size | null {
    const { pictures } = this.#options.desk.state.getState();
    const listed = this.#documents.get(picture)?.picture ?? pictures.find(({ id }) => id === picture);
    return listed ? sizeOf(listed) : null;
  }

  /** Look whether the server knows a picture's size by now; asked once for each. */
  async learnSize(picture: number): Promise<void> {
    const { api, desk, signal, onSize } = this.#options;
    const index = desk.state.getState().pictures.findIndex(({ id }) => id === picture);
    if (index < 0 || this.#looked.has(picture)) return;
    this.#looked.add(picture);
    try {
      const [found] = (await api.pictures(index, 1, signal)).pictures;
      const { pictures } = desk.state.getState();
      if (found?.id === picture && pictures[index]?.id === picture) {
        desk.state.setState({ pictures: pictures.with(index, this.#known(found)) });
        onSize();
      }
    } catch {
      // It is known at the latest when the picture is opened.
    }
  }

  /**
   * A picture with its objects, without showing it; waits for the server. It must be needed until then.
   *
   * @throws Error where they cannot be read.
   */
  async load(picture: number): Promise<PictureDocument> {
    const { api, desk, timing, signal, isNeeded } = this.#options;
    const shown = desk.document;
    if (shown?.id === picture && shown.isLoaded && !this.#refreshing.has(shown)) return shown;
    const opened = await untilReached(() => api.openPicture(picture, signal), timing.connection, signal);
    const document = this.#documents.open(opened.picture, isNeeded);
    // What was read at an earlier time may be outdated.
    await this.#refresh(document);
    if (!document.isLoaded) throw new Error(`${opened.picture.name}: its objects cannot be read now. Try again later.`);
    return document;
  }

  /** Read a picture's objects again; one that was not opened is read when it is. */
  refresh(picture: number): Promise<void> {
    const document = this.#documents.get(picture);
    return document ? this.#refresh(document) : Promise.resolve();
  }

  #open(picture: Picture): void {
    const { desk, isNeeded, onOpen } = this.#options;
    const document = this.#documents.open(picture, isNeeded);
    if (document.state === "failed") document.state = "loading";
    desk.open(document);
    onOpen(document);
    void this.#refresh(document);
  }

  /** One question at a time for each picture; what is asked meanwhile gets an answer that was begun later. */
  #refresh(document: PictureDocument): Promise<void> {
    const running = this.#refreshing.get(document) ?? Promise.resolve();
    const refreshed = running.then(() => this.#read(document));
    this.#refreshing.set(document, refreshed);
    return refreshed.finally(() => {
      if (this.#refreshing.get(document) === refreshed) this.#refreshing.delete(document);
    });
  }

  async #read(document: PictureDocument): Promise<void> {
    const { api, outbox, desk, notices, timing, signal, isNeeded, keptHistory, onObjects } = this.#options;
    const isWanted = () => desk.document === document || isNeeded(document.id);
    const project = desk.state.getState().project?.id;
    try {
      const kept = document.isLoaded ? null : await keptHistory(document.id);
      for (let attempt = 1; isWanted() && project !== undefined; attempt++) {
        const { epoch } = document;
        const before = await outbox.of(project, document.id);
        const ask = () => api.openPicture(document.id, signal);
        const opened = await untilReached(ask, timing.connection, signal, isWanted);
        if (!opened) return;
        const waiting = [...before, ...(await outbox.of(project, document.id))];
        const isQuiet = document.epoch === epoch;
        if (!isQuiet && attempt < PATIENCE) continue;
        document.merge(opened, waiting, isQuiet);
        if (kept) document.takeUp(kept);
        onObjects(document, isQuiet);
        return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!document.isLoaded) document.state = "failed";
      if (desk.document !== document) return;
      notices.fault(error, document.picture.name);
      desk.state.setState({ objectsState: document.state });
    }
  }

  #known(picture: Picture): Picture {
    const document = this.#documents.get(picture.id);
    return document?.isLoaded ? document.picture : picture;
  }
}
