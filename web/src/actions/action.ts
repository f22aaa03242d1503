import type { LucideIcon } from "lucide-react";
import type { StageControls } from "../canvas/stageControls";
import type { Session, StudioState } from "../session/session";
import type { CutOutCommands } from "./cutOutCommands";
import type { Page } from "./page";

/** Chapters of the help sheet, in their order. */
export const GROUPS = ["Tools", "Objects", "Labels", "Cut-outs", "Pictures", "View", "Project"] as const;
export type Group = (typeof GROUPS)[number];

/** All that actions act on. */
export interface ActionContext {
  session: Session;
  stage: StageControls;
  page: Page;
  cutOuts: CutOutCommands;
}

/**
 * One thing that a person can do. Buttons, tooltips, shortcuts and the help sheet are all made from this.
 *
 * Actions are plain objects, so that a list of them can be checked: keys unique, none left out.
 */
export interface Action {
  /** Unique; also the test id of its buttons. */
  readonly name: string;
  /** What it does, in a few words. */
  readonly label: string;
  /** One more line for tooltips and the help sheet. */
  readonly hint?: string;
  /** Shortcuts as `keys.ts` reads them; the first is shown in tooltips. */
  readonly keys: readonly string[];
  /** How to show the keys where there are too many to list. */
  readonly keysShown?: string;
  readonly icon: LucideIcon;
  readonly group: Group;
  /** A key that is held down does it again and again. */
  readonly repeats?: boolean;
  enabled(state: StudioState): boolean;
  /** For actions that are on or off. */
  pressed?(state: StudioState): boolean;
  /** `key` is the shortcut that was pressed, null for a button. */
  run(context: ActionContext, key: string | null): void;
}

export function hasPicture(state: StudioState): boolean {
  return state.picture !== null;
}

export function hasSelection(state: StudioState): boolean {
  return state.selected !== null;
}

export function hasReadings(state: StudioState): boolean {
  return state.readings !== null;
}

export function hasObjects(state: StudioState): boolean {
  return state.objects.length > 0;
}

export function always(): boolean {
  return true;
}
