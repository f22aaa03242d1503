// @vitest-environment jsdom
import { afterEach, beforeEach, expect, it } from "vitest";
import { ACTIONS } from "../../src/actions/registry";
import { listenForShortcuts } from "../../src/actions/shortcuts";
import { objectState, recordedContext, type Recorded } from "./states";

let recorded: Recorded;
let stop: () => void;

beforeEach(() => {
  recorded = recordedContext({ objects: [objectState("one")], selected: "one" });
  stop = listenForShortcuts(ACTIONS, recorded.context, window);
});

afterEach(() => {
  stop();
  document.body.replaceChildren();
});

function add(html: string): HTMLElement {
  document.body.innerHTML = html;
  return document.body.firstElementChild as HTMLElement;
}

/** Press a key on an element; whether the browser's own meaning of it was prevented. */
function type(target: EventTarget, init: KeyboardEventInit): boolean {
  const event = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}

it("runs actions, wherever the focus is", () => {
  expect(type(document.body, { key: "b", code: "KeyB" })).toBe(true);
  expect(type(add("<button>x</button>"), { key: "n", code: "KeyN" })).toBe(true);
  expect(recorded.given).toEqual([["setTool", "box"], ["finish"]]);
});

it.each(["<input>", '<input type="search">', "<textarea></textarea>", "<select></select>"])(
  "leaves %s alone",
  (html) => {
    type(add(html), { key: "b", code: "KeyB" });
    type(add(html), { key: "Enter" });
    expect(recorded.given).toEqual([]);
  },
);

it("works beside a field that takes no text", () => {
  type(add('<input type="checkbox">'), { key: "b", code: "KeyB" });
  expect(recorded.given).toEqual([["setTool", "box"]]);
});

it("leaves Enter to a button that has the focus", () => {
  expect(type(add("<button>x</button>"), { key: "Enter" })).toBe(false);
  expect(type(document.body, { key: "Enter" })).toBe(true);
  expect(recorded.given).toEqual([["finish"]]);
});

it("does nothing while a dialog is open, while text is composed, or with what was used already", () => {
  recorded.page.openDialog("export");
  type(document.body, { key: "b", code: "KeyB" });
  recorded.page.closeDialog();
  type(document.body, { key: "b", code: "KeyB", isComposing: true });
  const list = add("<div></div>");
  list.addEventListener("keydown", (event) => {
    event.preventDefault();
  });
  type(list, { key: "b", code: "KeyB" });
  expect(recorded.given).toEqual([]);
});

it("does nothing where the action has nothing to do, but keeps the browser from doing something else", () => {
  recorded.session.state.setState({ selected: null, canUndo: false });
  expect(type(document.body, { key: "n", code: "KeyN" })).toBe(false);
  expect(type(document.body, { key: "z", code: "KeyZ", ctrlKey: true })).toBe(true);
  expect(recorded.given).toEqual([]);
});

it("goes on while a key is held down only where that is meant", () => {
  recorded.session.state.setState({ canUndo: true });
  for (const repeat of [false, true]) {
    type(document.body, { key: "z", code: "KeyZ", ctrlKey: true, repeat });
    type(document.body, { key: "Delete", repeat });
  }
  expect(recorded.given).toEqual([["undo"], ["remove", "one"], ["undo"]]);
});

it("ends", () => {
  stop();
  type(document.body, { key: "b", code: "KeyB" });
  expect(recorded.given).toEqual([]);
});
