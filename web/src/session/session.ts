import type { StoreApi } from "zustand/vanilla";
import type { Box, Click, ObjectState, Picture, Project, Proposal, ServerStatus } from "../api/types";
import type { Backend, Candidate, Preview } from "../decoder/decoder";
import type { Point, Rings } from "../geometry/shapes";
import type { SetAsideObject } from "./asides";

export type { SetAsideObject } from "./asides";

/**
 * select: click takes an object up. segment: hover and click; left adds, right or Alt takes away. remove: left takes
 * away. box: drag. everything: click accepts a proposal, right or Alt rejects it. pan: drag moves the picture.
 */
export type ToolName = "select" | "segment" | "remove" | "box" | "everything" | "pan";

export type EmbeddingState = "none" | "waiting" | "loading" | "ready" | "failed";
export type DecoderStatus = "preparing" | "loading" | "ready" | "failed";
/** Where objects can be pointed at. */
export type Place = "stage" | "list";
/** Of a picture's objects: on their way from the server, here, or not to be had. */
export type ObjectsState = "loading" | "loaded" | "failed";
export type SavingState = "saved" | "saving" | "offline" | "failed";

export interface Notice {
  id: number;
  kind: "info" | "warning" | "error";
  text: string;
}

/** The readings of a lone click on the selected object, smallest first. */
export interface Readings {
  object: string;
  candidates: Candidate[];
  chosen: number;
}

/** A click or box that was made and has no mask yet, such as before the picture's embedding is there. */
export interface WaitingPrompt {
  /** The object that it is for, which may not be among the objects yet. */
  object: string;
  click: Click | null;
  box: Box | null;
}

/** All that the page shows, but for what follows the pointer (see `Session.onPreview`). Replaced, never changed. */
export interface StudioState {
  project: Project | null;
  pictures: readonly Picture[];
  picture: Picture | null;
  /** Present objects of the picture, in their order. */
  objects: readonly ObjectState[];
  objectsState: ObjectsState;
  /** The object that the pointer or the focus is on, on the stage or in the list. */
  marked: string | null;
  /** The object that clicks refine, if any; not among the objects until its first click is answered. */
  selected: string | null;
  /** Of the picture that is shown, in the order in which they were made. */
  waiting: readonly WaitingPrompt[];
  readings: Readings | null;
  tool: ToolName;
  labels: readonly string[];
  /** What new objects are labelled, if anything. */
  stickyLabel: string | null;
  /** Neither accepted nor rejected; null while they are computed. */
  proposals: readonly Proposal[] | null;
  hoveredProposal: string | null;
  /** Hides all masks without changing any object. */
  masksHidden: boolean;
  embedding: EmbeddingState;
  decoder: DecoderStatus;
  backend: Backend | null;
  /** A click, box or reading is being answered. */
  decoding: boolean;
  saving: SavingState;
  /** Changes that the server has not confirmed. */
  unsaved: number;
  /** What the server did not take, kept in this browser until the person decides about it. */
  aside: readonly SetAsideObject[];
  serverLost: boolean;
  /** What the server said last; null until it has. */
  server: ServerStatus | null;
  canUndo: boolean;
  canRedo: boolean;
  notices: readonly Notice[];
}

export type PreviewListener = (preview: Preview | null, asked: Point | Box | null) => void;

/** What the person can do. What returns nothing returns at once; the state tells what became of it. */
export interface Session {
  readonly state: StoreApi<StudioState>;
  /**
   * The mask under the pointer, or of a box that is dragged; null when it goes. At most once a decoded mask. `asked` is
   * the very object that was given to `pointAt` or `dragBox`, by which the stage knows which movement it answers.
   */
  onPreview(listener: PreviewListener): () => void;
  /** Outline of an object's mask along the corners of pixels; remembered as long as its mask is the same. */
  outline(object: Pick<ObjectState, "id" | "counts">): Rings;
  outlineOfProposal(proposal: Proposal): Rings;
  /**
   * A picture's pixels, as a file that the browser can decode; fetched ahead for the next pictures.
   *
   * @throws ApiError, NetworkError (as rejections) as the server refuses it or is not there.
   */
  pixels(picture: number, signal: AbortSignal): Promise<Blob>;
  /** Whether a picture's pixels are here, so that nothing needs to be shown in their place. */
  hasPixels(picture: number): boolean;

  start(): void;
  openPicture(picture: number): void;
  nextPicture(): void;
  previousPicture(): void;
  setTool(tool: ToolName): void;

  /** Where the pointer is over the picture; null once it has left. */
  pointAt(point: Point | null): void;
  click(point: Point, positive: boolean): void;
  removeClick(object: string, index: number): void;
  dragBox(box: Box | null): void;
  addBox(box: Box): void;
  chooseReading(reading: number): void;
  /** The next larger reading, after the largest the smallest. */
  nextReading(): void;

  select(object: string | null): void;
  /** The pointer or the focus has come to an object there; it is shown as the one that is meant. */
  mark(object: string, where: Place): void;
  /** It has left it there; the pointer may have come to another place before. */
  unmark(object: string, where: Place): void;
  /** The topmost visible object under a point, the smallest of those that overlap. */
  objectAt(point: Point): string | null;
  /** Done with the selected object: the next click begins another. */
  finish(): void;
  /** Give up the selected object if it is not finished, else only let go of it. */
  discard(): void;
  remove(object: string): void;
  setLabel(object: string, label: string | null): void;
  setColor(object: string, color: number): void;
  setVisible(object: string, visible: boolean): void;
  setMasksHidden(hidden: boolean): void;
  setLabels(labels: readonly string[]): void;
  /**
   * Make these the labels, some of them under new names, which all objects follow; needs the server.
   *
   * @param renamed - from old names to names in `labels`; several may lead to one.
   * @throws Error where the server is not there or refuses; nothing has changed then.
   */
  renameLabels(labels: readonly string[], renamed: ReadonlyMap<string, string>): Promise<void>;
  setStickyLabel(label: string | null): void;

  acceptProposal(proposal: string): void;
  rejectProposal(proposal: string): void;
  acceptAllProposals(): void;

  /**
   * Take back what was done last to this picture's objects; a click that is not answered yet is given up. Undoing what
   * an object was finished with takes it up again.
   */
  undo(): void;
  redo(): void;
  /** Do again what was set aside, by its id; waits for the server where the picture's objects are not here. */
  retryAside(id: string): void;
  /** Make a new object of what was set aside. */
  keepAside(id: string): void;
  /** Forget what was set aside, for good. */
  discardAside(id: string): void;
  /** Objects and labels again from the server, such as after an import. */
  reload(): void;
  notify(kind: Notice["kind"], text: string): void;
  dismiss(notice: number): void;
  /** Stop what runs in the background; nothing is lost by it. */
  close(): void;
}
