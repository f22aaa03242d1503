import { describe, expect, it } from "vitest";
import { GROUPS, type Action } from "../../src/actions/action";
import type { KeyPress } from "../../src/actions/keys";
import { matches } from "../../src/actions/keys";
import { ACTIONS, OBJECT_BAR, TOOL_BAR, TOP_BAR } from "../../src/actions/registry";
import { press } from "./presses";
import { objectState, recordedContext, studioState } from "./states";

const FILES = import.meta.glob<Record<string, unknown>>("../../src/actions/*.ts", { eager: true });

function isAction(value: unknown): value is Action {
  return typeof value === "object" && value !== null && "keys" in value && "run" in value && "group" in value;
}

/** The press that a shortcut stands for. */
function pressOf(shortcut: string): KeyPress {
  const key = shortcut.endsWith("+") ? "+" : (shortcut.split("+").at(-1) ?? "");
  return press(key, { ctrlKey: shortcut.startsWith("mod+"), shiftKey: shortcut.includes("shift+") });
}

it("has every action that a file defines, each once", () => {
  const defined = Object.values(FILES).flatMap((file) => Object.values(file).filter(isAction));
  expect(defined.length).toBeGreaterThan(30);
  expect(new Set(ACTIONS)).toEqual(new Set(defined));
  expect(new Set(ACTIONS).size).toBe(ACTIONS.length);
  expect(new Set(ACTIONS.map(({ name }) => name)).size).toBe(ACTIONS.length);
});

it("has an action behind every button", () => {
  for (const action of [...TOOL_BAR.flat(), ...TOP_BAR, ...OBJECT_BAR]) expect(ACTIONS).toContain(action);
});

describe("keys", () => {
  it("are there for every action", () => {
    for (const { keys } of ACTIONS) expect(keys).not.toHaveLength(0);
  });

  it.each(ACTIONS.flatMap((action) => action.keys.map((key) => [key, action] as const)))(
    "%s means one action only",
    (key, action) => {
      const meant = ACTIONS.filter(({ keys }) => keys.some((shortcut) => matches(shortcut, pressOf(key), false)));
      expect(meant).toEqual([action]);
    },
  );

  it("are those that hands have learned", () => {
    const learned: Record<string, string> = {
      s: "tool-segment",
      b: "tool-box",
      r: "tool-remove",
      e: "tool-everything",
      v: "tool-select",
      h: "tool-pan",
      Enter: "finish",
      n: "finish",
      Escape: "discard",
      Delete: "delete-object",
      Backspace: "delete-object",
      g: "next-reading",
      "shift+g": "previous-reading",
      d: "next-picture",
      ArrowRight: "next-picture",
      a: "previous-picture",
      ArrowLeft: "previous-picture",
      "mod+z": "undo",
      "mod+shift+z": "redo",
      "mod+y": "redo",
      "1": "label-by-number",
      "9": "label-by-number",
      "0": "clear-label",
      l: "type-label",
      x: "show-object",
      m: "show-masks",
      c: "copy-cut-out",
      "shift+c": "save-cut-out",
      "+": "zoom-in",
      "-": "zoom-out",
      f: "fit",
      "mod+0": "fit",
      "shift+1": "actual-size",
      j: "next-object",
      ArrowDown: "next-object",
      k: "previous-object",
      ArrowUp: "previous-object",
      t: "toggle-theme",
      "?": "help",
      "mod+e": "export",
      "mod+i": "import",
    };
    for (const [key, name] of Object.entries(learned)) {
      expect(ACTIONS.find(({ keys }) => keys.includes(key))?.name, key).toBe(name);
    }
  });
});

it.each(ACTIONS.map((action) => [action.name, action] as const))("%s is described, and does something", (_, action) => {
  expect(action.label).toMatch(/^[A-Z]/);
  expect(GROUPS).toContain(action.group);
  const { context, given, page } = recordedContext({
    objects: [objectState("one"), objectState("two")],
    selected: "one",
    labels: ["cat"],
    readings: { object: "one", candidates: [candidate, candidate, candidate], chosen: 0 },
    tool: "everything",
    proposals: [{ id: "three", counts: "04", score: 1, stability: 1, area: 4, point: [1, 1] }],
    canUndo: true,
    canRedo: true,
  });
  const before = page.state.getState();
  expect(action.enabled(context.session.state.getState())).toBe(true);
  action.run(context, action.keys[0] ?? null);
  expect(given.length > 0 || page.state.getState() !== before).toBe(true);
});

it("offers nothing that needs a picture or an object where there is none", () => {
  const state = studioState({ picture: null, pictures: [] });
  const enabled = ACTIONS.filter((action) => action.enabled(state)).map(({ name }) => name);
  for (const name of [
    "finish",
    "discard",
    "delete-object",
    "next-picture",
    "zoom-in",
    "copy-cut-out",
    "undo",
    "label-by-number",
  ]) {
    expect(enabled).not.toContain(name);
  }
  expect(enabled).toContain("help");
});

const candidate = {
  counts: "04",
  area: 4,
  bounds: [0, 0, 2, 2] as [number, number, number, number],
  score: 0.5,
  rings: [],
};
