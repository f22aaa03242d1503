import { createStore } from "zustand/vanilla";
import type { Api } from "../api/client";
import type { Decoder } from "../decoder/decoder";
import type { Outbox } from "../sync/outbox";
import { openKeepsakes, type Keepsakes } from "../sync/keepsakes";
import { openTabs, type Tabs } from "../sync/tabs";
import { browserStorages, type Storages } from "./memory";
import type { Place, Session, StudioState, ToolName } from "./session";
import { cleanLabel } from "./labels";
import { Studio } from "./studio";
import { TIMING, type Timing } from "./timing";

export interface SessionOptions {
  api: Api;
  decoder: Decoder;
  outbox: Outbox;
  keepsakes?: Keepsakes;
  tabs?: Tabs;
  /** Keep tabs from sending the same changes at a time; null where the browser has none. */
  locks?: Pick<LockManager, "request"> | null;
  storages?: Storages;
  /** The page's address, which may ask for a picture: `?picture=3`. */
  address?: URL | null;
  timing?: Timing;
  /** Tells of the page going, coming back and being connected again; null where there is no page. */
  page?: (EventTarget & { document?: EventTarget }) | null;
}

/** The state of a session in which nothing has happened. */
export const BLANK: StudioState = {
  project: null,
  pictures: [],
  picture: null,
  objects: [],
  objectsState: "loading",
  marked: null,
  selected: null,
  waiting: [],
  readings: null,
  tool: "segment",
  labels: [],
  stickyLabel: null,
  proposals: null,
  hoveredProposal: null,
  masksHidden: false,
  embedding: "none",
  decoder: "preparing",
  backend: null,
  decoding: false,
  saving: "saved",
  unsaved: 0,
  aside: [],
  serverLost: false,
  server: null,
  canUndo: false,
  canRedo: false,
  notices: [],
};

/** Tools whose use begins a new object, so that whoever takes one up is done with the last. */
const TOOLS_FOR_NEW: readonly ToolName[] = ["box", "everything"];

/** Make a session; nothing is asked of the server before it is started. */
export function createSession(options: SessionOptions): Session {
  const pointedAt: Record<Place, string | null> = { list: null, stage: null };
  const isBrowser = typeof window !== "undefined";
  const state = createStore<StudioState>(() => BLANK);
  const studio = new Studio({
    state,
    keepsakes: options.keepsakes ?? openKeepsakes(),
    tabs: options.tabs ?? openTabs(),
    locks: isBrowser && "locks" in navigator ? navigator.locks : null,
    storages: options.storages ?? browserStorages(),
    address: isBrowser ? new URL(window.location.href) : null,
    timing: TIMING,
    page: isBrowser ? window : null,
    ...options,
  });
  const { desk, opening, editing, pointing, board, labels, asides, pixels, notices } = studio;
  return {
    state,
    onPreview: (listener) => pointing.listen(listener),
    outline: (object) => desk.outlines?.rings(object) ?? [],
    outlineOfProposal: (proposal) => desk.outlines?.rings(proposal) ?? [],
    pixels: (picture, signal) => pixels.get(picture, signal),
    hasPixels: (picture) => pixels.has(picture),

    start: () => studio.start(),
    openPicture(picture) {
      if (picture === desk.document?.id) return;
      editing.finish();
      opening.open(picture);
    },
    nextPicture: () => go(1),
    previousPicture: () => go(-1),
    setTool(tool) {
      if (tool === state.getState().tool) return;
      if (TOOLS_FOR_NEW.includes(tool)) editing.finish();
      state.setState({ tool });
      pointing.refresh();
      board.consider();
      board.pointAt(pointing.pointer);
    },

    pointAt(point) {
      pointing.pointAt(point);
      board.pointAt(point);
    },
    click: (point, positive) => editing.click(point, positive),
    removeClick: (object, index) => editing.removeClick(object, index),
    dragBox: (box) => pointing.dragBox(box),
    addBox: (box) => editing.addBox(box),
    chooseReading: (reading) => editing.chooseReading(reading),
    nextReading: () => editing.nextReading(),

    select: (object) => editing.select(object),
    mark: (object, where) => mark(where, object),
    unmark(object, where) {
      if (pointedAt[where] === object) mark(where, null);
    },
    objectAt: (point) => editing.objectAt(point),
    finish: () => editing.finish(),
    discard: () => editing.discard(),
    remove: (object) => editing.remove(object),
    setLabel: (object, label) => editing.describe(object, "label", { label: cleanLabel(label) }),
    setColor: (object, color) => editing.describe(object, "color", { color }),
    setVisible: (object, visible) => editing.describe(object, "visible", { visible }),
    setMasksHidden: (masksHidden) => state.setState({ masksHidden }),
    setLabels: (names) => labels.set(names),
    renameLabels: (names, renamed) => labels.rename(names, renamed),
    setStickyLabel: (label) => state.setState({ stickyLabel: cleanLabel(label) }),

    acceptProposal(proposal) {
      studio.decided();
      board.accept(board.find(proposal));
    },
    rejectProposal(proposal) {
      studio.decided();
      board.reject(board.find(proposal));
    },
    acceptAllProposals() {
      studio.decided();
      board.accept(board.open);
    },

    undo: () => editing.undo(),
    redo: () => editing.redo(),
    retryAside: (id) => void asides.restore(id, "itself"),
    keepAside: (id) => void asides.restore(id, "new"),
    discardAside: (id) => void asides.discard(id),
    reload: () => void studio.reload(),
    notify: (kind, text) => notices.notify(kind, text),
    dismiss: (notice) => notices.dismiss(notice),
    close: () => studio.close(),
  };

  function mark(where: Place, object: string | null): void {
    pointedAt[where] = object;
    const { objects, marked: before } = state.getState();
    const isThere = (id: string | null) => objects.some((present) => present.id === id);
    const marked = [pointedAt.list, pointedAt.stage].find(isThere) ?? null;
    if (marked !== before) state.setState({ marked });
  }

  function go(by: number): void {
    const next = opening.neighbour(by);
    if (next === null) return;
    editing.finish();
    opening.open(next.id);
  }
}
