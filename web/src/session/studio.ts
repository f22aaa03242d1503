import type { StoreApi } from "zustand/vanilla";
import { NetworkError } from "../api/client";
import { untilReached } from "../api/patience";
import type { Change, Project } from "../api/types";
import { findPresent } from "../annotation/objects";
import type { Pixels } from "../sync/pixels";
import { Sender, type Settled } from "../sync/sender";
import type { SessionOptions } from "./create";
import { Asides } from "./asides";
import { Desk } from "./desk";
import type { PictureDocument } from "./documents";
import { Editing } from "./editing";
import { Feed } from "./feed";
import { HistoryKeeper } from "./historyKeeper";
import { Labels } from "./labels";
import { openMemory, type Memory } from "./memory";
import { Notices } from "./notices";
import { Opening } from "./opening";
import { Pointing } from "./pointing";
import { listenToPage } from "./pageEvents";
import { PromptQueue, type PromptEdit } from "./promptQueue";
import { ProposalBoard } from "./proposalBoard";
import { Recorder } from "./recorder";
import { ServerWatch } from "./serverWatch";
import type { StudioState } from "./session";
import { WaitingPrompts } from "./waitingPrompts";

export type StudioOptions = Required<SessionOptions> & { state: StoreApi<StudioState> };

/** Pictures that are fetched ahead, by their distance in the list. */
const AHEAD = [1, 2, -1];

/** The parts of a session, and what follows in one from what happens in another. */
export class Studio {
  readonly state: StoreApi<StudioState>;
  readonly notices: Notices;
  readonly desk: Desk;
  readonly opening: Opening;
  readonly editing: Editing;
  readonly pointing: Pointing;
  readonly board: ProposalBoard;
  readonly labels: Labels;
  readonly asides: Asides;
  readonly #options: StudioOptions;
  readonly #end = new AbortController();
  readonly #queue: PromptQueue;
  readonly #feed: Feed;
  readonly #watch: ServerWatch;
  readonly #history: HistoryKeeper;
  readonly #prompts: WaitingPrompts;
  /** These are there once the server has said which project it has. */
  #sender: Sender | null = null;
  #memory: Memory | null = null;
  /** The object that was selected when the page went, until it is there, or another one is selected. */
  #wasSelected: string | null = null;

  constructor(options: StudioOptions) {
    const { api, decoder, outbox, keepsakes, locks, state, timing } = options;
    const { signal } = this.#end;
    const colors = () => state.getState().project?.palette.length ?? 1;
    const onFault = (error: unknown) => this.#fault(error);
    const notices = new Notices(state);
    const desk = new Desk(state);
    const recorder = new Recorder({
      save: (picture, changes) => this.#save(picture, changes),
      onChange: (document) => {
        this.#history.changed(document);
        this.#publish();
      },
    });
    this.#options = options;
    this.state = state;
    this.notices = notices;
    this.desk = desk;
    this.#history = new HistoryKeeper({ keepsakes, signal, project: () => state.getState().project?.id ?? null });
    this.opening = new Opening({
      api,
      outbox,
      desk,
      notices,
      timing,
      signal,
      isNeeded: (picture) =>
        this.#queue.pictures.includes(picture) || this.asides.needs(picture) || this.#prompts.needs(picture),
      keptHistory: (picture) => this.#history.read(picture),
      onOpen: (document) => this.#opened(document),
      onObjects: (document, isQuiet) => this.#objectsCame(document, isQuiet),
      onSize: () => this.#feed.advance(),
    });
    this.#feed = new Feed({
      api,
      decoder,
      retryDelay: timing.connection,
      isDecoderReady: () => state.getState().decoder === "ready",
      model: () => state.getState().project?.model?.fingerprint ?? null,
      size: (picture) => this.opening.size(picture),
      onSizeNeeded: (picture) => void this.opening.learnSize(picture),
      onChange: () => this.#pictureReady(),
      onFailure: (picture, error) => this.#pictureFailed(picture, error),
    });
    this.#queue = new PromptQueue({
      decoder,
      recorder,
      isReady: (document) => this.#feed.isReady(document.id),
      model: () => state.getState().project?.model?.fingerprint ?? "",
      colors,
      onChange: () => this.#queueChanged(),
      onAnswer: (document, object, answer) => {
        desk.learn(document, object, answer);
        this.#publish();
        this.pointing.thaw(object.id);
      },
      onFailure: (edit, error) => this.#answerFailed(edit, error),
    });
    this.#prompts = new WaitingPrompts({
      keepsakes,
      queue: this.#queue,
      locks,
      signal,
      isReady: (document) => this.#feed.isReady(document.id),
      load: (picture) => this.opening.load(picture),
      next: () => recorder.next(),
      onReturn: (document, object) => this.#takeUpAgain(document, object),
      onFault,
    });
    this.editing = new Editing({
      desk,
      recorder,
      queue: this.#queue,
      onRefusal: (text) => notices.notify("warning", text),
      onSelect: () => this.#selected(),
    });
    this.pointing = new Pointing({ desk, decoder, isReady: (picture) => this.#feed.isReady(picture), onFault });
    this.board = new ProposalBoard({ api, desk, recorder, timing, colors, onFault });
    this.asides = new Asides({ outbox, state, recorder, load: (picture) => this.opening.load(picture), onFault });
    this.labels = new Labels({
      api,
      keepsakes,
      state,
      onFault: (error) => {
        onFault(error);
        void this.#refreshProject().catch(onFault);
      },
      onRename: (renamed) => this.#renamed(renamed),
    });
    this.#watch = new ServerWatch({
      api,
      decoder,
      state,
      notices,
      timing,
      signal,
      onBack: () => {
        this.#sender?.retry();
        this.labels.send();
      },
      onDecoder: (isOther) => {
        if (isOther) this.#feed.clear();
        this.#feed.advance();
        this.#pictureReady();
      },
    });
  }

  /** The files of the pictures at hand. */
  get pixels(): Pixels {
    return this.#feed.pixels;
  }

  start(): void {
    listenToPage(this.#options.page, this.#end.signal, {
      onWake: () => {
        this.#sender?.retry();
        this.#watch.ask();
      },
      onHide: () => this.#history.flush(),
      mustAsk: () => this.#options.outbox.atRisk > 0,
    });
    void this.#start().catch((error: unknown) => this.#fault(error));
  }

  /** Objects, labels and the list of pictures again from the server. */
  async reload(): Promise<void> {
    try {
      await this.#refreshProject();
      await this.opening.list();
      const picture = this.desk.document?.id;
      if (picture !== undefined) await this.opening.refresh(picture);
    } catch (error) {
      this.#fault(error);
    }
  }

  /** Something was decided about proposals, so that what was taken back does not come again. */
  decided(): void {
    if (this.desk.document) this.editing.forgetCancelled(this.desk.document);
  }

  close(): void {
    this.#end.abort();
    this.#sender?.close();
    this.#feed.close();
    this.board.close();
    this.#options.tabs.close();
    this.#options.decoder.close();
    this.#options.outbox.close();
    this.#options.keepsakes.close();
  }

  async #start(): Promise<void> {
    const { api, outbox, tabs, storages, address, timing, locks } = this.#options;
    const { signal } = this.#end;
    void this.#watch.run();
    const project = await untilReached(() => api.project(signal), timing.connection, signal);
    const unsaved = await outbox.count(project.id).catch(() => 0);
    this.state.setState({ project, unsaved, saving: unsaved > 0 ? "saving" : "saved" });
    void this.labels.start(project.labels);
    void this.asides.refresh();
    void this.#history.tidy(project.id);
    this.#memory = openMemory(project.id, storages, address);
    this.#sender = new Sender({
      api,
      outbox,
      project: project.id,
      colors: project.palette.length,
      tabs,
      locks,
      retryDelays: timing.sending,
      onReport: (saving, unsaved) => {
        this.state.setState({ saving, unsaved });
        if (saving === "offline") this.#watch.lost();
      },
      onSettled: (picture, settled) => this.#settled(picture, settled),
      onNotice: (text) => this.notices.notify("warning", text),
    });
    tabs.onChange((message) => {
      if (message.project === project.id) this.#changedElsewhere(message.picture);
    });
    void this.#watch.follow(project.decoder);
    const picture = this.#memory.lastPicture();
    this.#wasSelected = picture === null ? null : this.#memory.selected(picture);
    await Promise.all([this.opening.start(picture), this.#prompts.start(project.id)]);
  }

  #save(picture: number, changes: readonly Change[]): void {
    this.#sender?.add(picture, changes);
    for (const { state } of changes) if (state.status === "present") this.labels.use(state.label);
  }

  #publish(): void {
    this.desk.publish(this.#queue, this.#feed);
    this.state.setState({ canRedo: this.editing.canRedo });
    this.board.refresh();
  }

  #opened(document: PictureDocument): void {
    this.#memory?.rememberPicture(document.id);
    this.state.setState({ selected: null, readings: null, objects: [], waiting: [], marked: null });
    this.pointing.reset();
    this.board.reset();
    this.#wantPictures();
    this.#publish();
    this.board.consider();
  }

  #objectsCame(document: PictureDocument, isQuiet: boolean): void {
    if (isQuiet) this.#sender?.caughtUp(document.id);
    if (document.picture.error !== null) this.#queue.cancel(this.#queue.of(document));
    if (document !== this.desk.document) {
      this.#feed.advance();
      this.#queue.advance();
      return;
    }
    const { selected } = this.state.getState();
    const wanted = selected ?? this.#wasSelected;
    const isThere = wanted !== null && (findPresent(document.objects, wanted) !== null || this.#queue.has(wanted));
    this.state.setState({ selected: isThere ? wanted : null });
    if (selected !== this.state.getState().selected) this.#selected();
    this.#feed.advance();
    this.#pictureReady();
  }

  /** Go on with the object that was begun when the page went, once its clicks wait again. */
  #takeUpAgain(document: PictureDocument, object: string): void {
    if (document !== this.desk.document || object !== this.#wasSelected) return;
    this.state.setState({ selected: object });
    this.#selected();
  }

  /** Which pictures are ready, or what is ready to be asked of them, is not what it was. */
  #pictureReady(): void {
    this.#publish();
    this.#queue.advance();
    this.#askReadings();
    this.pointing.start();
    this.board.consider();
  }

  #pictureFailed(picture: number, error: unknown): void {
    const document = this.opening.document(picture);
    if (!document) return;
    const waiting = this.#queue.of(document);
    this.#queue.cancel(waiting);
    const isShown = document === this.desk.document && document.picture.error === null;
    if (isShown || waiting.length > 0) this.notices.fault(error, document.picture.name);
    if (document === this.desk.document && waiting.some(({ object }) => object === this.state.getState().selected)) {
      this.editing.select(null);
    }
  }

  #queueChanged(): void {
    this.#prompts.update();
    this.#wantPictures();
    this.#publish();
  }

  #answerFailed(edit: PromptEdit, error: unknown): void {
    const { document, object, isLast } = edit;
    this.notices.fault(error);
    if (isLast) this.editing.markFinished(document, object);
    const { selected } = this.state.getState();
    if (selected === object && !this.#queue.has(object) && !findPresent(document.objects, object)) {
      this.editing.select(null);
    }
    this.pointing.thaw(object);
  }

  #selected(): void {
    const { selected } = this.state.getState();
    this.#wasSelected = null;
    const picture = this.desk.document?.id;
    if (picture !== undefined) this.#memory?.rememberSelected(picture, selected);
    if (selected !== null && this.#queue.has(selected) && !this.desk.selected) this.pointing.freeze(selected);
    else this.pointing.unfreeze();
    this.#publish();
    this.#askReadings();
  }

  #askReadings(): void {
    const object = this.desk.lacksReadings(this.#queue);
    if (object && this.desk.document) this.#queue.askReadings(this.desk.document, object.id);
  }

  /** Have the embeddings come of what is shown, what is waited for, and what is likely next. */
  #wantPictures(): void {
    const { document } = this.desk;
    const shown = document && document.picture.error === null ? [document.id] : [];
    const now = [...new Set([...shown, ...this.#queue.pictures])];
    const soon = AHEAD.flatMap((by) => this.opening.neighbour(by) ?? []).filter((picture) => picture.error === null);
    this.#feed.want({ now, soon: soon.map((picture) => picture.id) });
  }

  #settled(picture: number, { isOutdated, copies, hasAside }: Settled): void {
    if (hasAside) void this.asides.refresh();
    const document = this.opening.document(picture);
    if (document) document.epoch++;
    if (!isOutdated) return;
    const { selected } = this.state.getState();
    const copy = copies.get(selected ?? "");
    void this.opening.refresh(picture).then(() => {
      const now = this.state.getState().selected;
      const isFree = now === selected || now === null;
      // What was changed elsewhere stays as it is there: it is let go of without being finished here.
      if (copy === undefined || document !== this.desk.document || !isFree) return;
      this.state.setState({ selected: copy });
      this.#selected();
    });
  }

  #renamed(renamed: ReadonlyMap<string, string>): void {
    this.opening.renameLabels(renamed);
    this.#queue.renameLabels(renamed);
    const { project } = this.state.getState();
    if (project) this.#options.tabs.tell({ project: project.id, picture: null });
  }

  #changedElsewhere(picture: number | null): void {
    void this.asides.refresh();
    if (picture === null) void this.reload();
    const document = picture === null ? null : this.opening.document(picture);
    if (!document) return;
    document.epoch++;
    if (document === this.desk.document) void this.opening.refresh(document.id);
  }

  async #refreshProject(): Promise<void> {
    const { api, timing } = this.#options;
    const { signal } = this.#end;
    const project: Project = await untilReached(() => api.project(signal), timing.connection, signal);
    if (project.id !== this.state.getState().project?.id) return;
    this.state.setState({ project });
    this.labels.take(project.labels);
  }

  #fault(error: unknown): void {
    if (this.#end.signal.aborted) return;
    if (error instanceof NetworkError) this.#watch.lost();
    else this.notices.fault(error);
  }
}
