import type { StoreApi } from "zustand/vanilla";
import type { Box, Click, ObjectState, Picture, Project, Proposal, ServerStatus } from "../api/types";
import type { Backend, Candidate, Preview } from "../decoder/decoder";
import type { Point, Rings } from "../geometry/shapes";

/**
 * select: click takes an object up. segment: hover and click; left adds, right or Alt takes away. remove: left takes
 * away. box: drag. everything: click accepts a proposal, right or Alt rejects it. pan: drag moves the picture.
 */
export type ToolName = "select" | "segment" | "remove" | "box" | "everything" | "pan";

export type EmbeddingState = "none" | "waiting" | "loading" | "ready" | "failed";
export type DecoderStatus = "preparing" | "loading" | "ready" | "failed";
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
  serverLost: boolean;
  /** What the server said last; null until it has. */
  server: ServerStatus | null;
  canUndo: boolean;
  canRedo: boolean;
  notices: readonly Notice[];
}

export type PreviewListener = (preview: Preview | null, asked: Point | Box | null) => void;

/** What the person can do. All of it returns at once; the state tells what became of it. */
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
  /** Objects and labels again from the server, such as after an import. */
  reload(): void;
  notify(kind: Notice["kind"], text: string): void;
  dismiss(notice: number): void;
  /** Stop what runs in the background; nothing is lost by it. */
  close(): void;
}
