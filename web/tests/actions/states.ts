import { createStore } from "zustand/vanilla";
import type { ActionContext } from "../../src/actions/action";
import type { CutOutCommands } from "../../src/actions/cutOutCommands";
import { createPage, type Page } from "../../src/actions/page";
import type { ObjectState, Picture } from "../../src/api/types";
import type { StageControls } from "../../src/canvas/stageControls";
import { BLANK } from "../../src/session/create";
import type { Session, StudioState } from "../../src/session/session";

export function objectState(id: string, changes: Partial<ObjectState> = {}): ObjectState {
  return {
    id,
    version: 1,
    status: "present",
    counts: "04",
    prompts: null,
    label: null,
    color: 0,
    visible: true,
    order: 1,
    score: 0.5,
    source: "assisted",
    finished: true,
    model: null,
    ...changes,
  };
}

export function picture(id: number, changes: Partial<Picture> = {}): Picture {
  return { id, name: `picture ${String(id)}.jpg`, width: 640, height: 480, objects: 0, error: null, ...changes };
}

export function studioState(changes: Partial<StudioState> = {}): StudioState {
  return {
    ...BLANK,
    project: {
      id: "project",
      name: "photos",
      pictures: 2,
      unusable: 0,
      model: {
        name: "pocket",
        fingerprint: "f",
        input_side: 512,
        logits_side: 128,
        embedding_shape: [1, 256, 32, 32],
        mask_threshold: 0,
      },
      decoder: { state: "ready", files: null, reason: null },
      labels: [],
      palette: ["#e6194b", "#3cb44b"],
    },
    pictures: [picture(1), picture(2)],
    picture: picture(1),
    embedding: "ready",
    decoder: "ready",
    backend: "wasm",
    ...changes,
  };
}

/** A command that was given, with what it was given. */
export type Given = [command: string, ...unknown[]];

/** An object every method of which only writes down that it was called. */
function recorder<T extends object>(given: Given[], fixed: Partial<T>): T {
  return new Proxy(fixed, {
    get: (target, name) =>
      name in target
        ? target[name as keyof T]
        : (...parameters: unknown[]) => {
            given.push([String(name), ...parameters]);
          },
  }) as T;
}

export interface Recorded {
  context: ActionContext;
  session: Session;
  page: Page;
  /** What the session, the stage and the cut-outs were told. */
  given: Given[];
}

/** All that actions act on, in a state; what they do to it is written down. */
export function recordedContext(changes: Partial<StudioState> = {}): Recorded {
  const given: Given[] = [];
  const session = recorder<Session>(given, { state: createStore(() => studioState(changes)) });
  const page = createPage({ storage: null, prefersDark: () => false, width: 1440 });
  const stage = recorder<StageControls>(given, {
    state: createStore(() => ({
      viewport: { scale: 0.5, x: 0, y: 0 },
      window: { width: 800, height: 600 },
      picture: { width: 640, height: 480 },
      fitted: true,
    })),
  });
  const context: ActionContext = { session, page, stage, cutOuts: recorder<CutOutCommands>(given, {}) };
  return { context, session, page, given };
}
