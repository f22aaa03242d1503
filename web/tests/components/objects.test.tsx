// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import { ObjectsPanel } from "../../src/components/ObjectsPanel";
import { objectState, type Given } from "../actions/states";
import { click, fill, key, perform, renderStudio } from "./renderStudio";

/** What was done, beside looking at objects. */
function done(given: readonly Given[]): Given[] {
  return given.filter(([command]) => !command.endsWith("mark"));
}

const OBJECTS = [
  objectState("one", { label: "cat", score: 0.876 }),
  objectState("two", { visible: false, color: 1, score: null }),
];

describe("the list of objects", () => {
  it("tells what is there", () => {
    const { allByTestId, byTestId } = renderStudio(<ObjectsPanel />, { state: { objects: OBJECTS, selected: "two" } });
    const rows = allByTestId("object-row");
    expect(rows.map((row) => [row.dataset["object"], row.getAttribute("aria-selected"), row.textContent])).toEqual([
      ["one", "false", "cat0.88"],
      ["two", "true", "Object 2"],
    ]);
    expect(byTestId("object-list").getAttribute("aria-rowcount")).toBe("2");
  });

  it("takes up, hides, shows and deletes objects", () => {
    const { allByTestId, byLabel, given } = renderStudio(<ObjectsPanel />, { state: { objects: OBJECTS } });
    click(allByTestId("object-row")[1] as HTMLElement);
    click(byLabel("Hide cat"));
    click(byLabel("Show Object 2"));
    click(byLabel("Delete cat"));
    expect(given).toEqual([
      ["select", "two"],
      ["setVisible", "one", false],
      ["setVisible", "two", true],
      ["remove", "one"],
    ]);
  });

  it("tells that there are none only once that is known", () => {
    const { byTestId, change } = renderStudio(<ObjectsPanel />);
    const said = () => byTestId("object-list").textContent;
    expect(said()).toBe("Loading…");
    change({ objectsState: "loaded" });
    expect(said()).toBe("None yet");
    change({ objectsState: "failed" });
    expect(said()).toContain("could not be read");
    change({ picture: null });
    expect(said()).toBe("");
  });

  it("says which object the pointer is on, and shows which one is meant on the stage", () => {
    const { allByTestId, change, given } = renderStudio(<ObjectsPanel />, { state: { objects: OBJECTS } });
    const row = allByTestId("object-row")[1] as HTMLElement;
    const move = (type: string, relatedTarget: Element) => {
      perform(() => {
        row.dispatchEvent(new MouseEvent(type, { bubbles: true, relatedTarget }));
      });
    };
    move("pointerover", document.body);
    move("pointerout", document.body);
    perform(() => {
      row.querySelector("button")?.focus();
    });
    expect(given).toEqual([
      ["mark", "two", "list"],
      ["unmark", "two", "list"],
      ["mark", "two", "list"],
    ]);
    change({ marked: "two" });
    expect(allByTestId("object-row").map(({ dataset }) => dataset["marked"])).toEqual(["false", "true"]);
    change({ objects: OBJECTS.slice(0, 1) });
    expect(given.at(-1)).toEqual(["unmark", "two", "list"]);
  });

  it("keeps few rows in the page, however many objects there are", () => {
    const objects = Array.from({ length: 1000 }, (_, index) => objectState(String(index)));
    const { allByTestId, byTestId } = renderStudio(<ObjectsPanel />, { state: { objects } });
    expect(allByTestId("object-row").length).toBeLessThan(30);
    expect(byTestId("object-list").getAttribute("aria-rowcount")).toBe("1000");
  });
});

it("gives labels by a click as by their number keys, and shows which one is given", () => {
  const labels = Array.from({ length: 11 }, (_, index) => `label ${String(index)}`);
  const objects = [objectState("one", { label: "label 1" })];
  const { byTestId, change, given } = renderStudio(<ObjectsPanel />, { state: { labels, objects, selected: "one" } });
  const keys = () => [...byTestId("label-keys").querySelectorAll("button")];
  const pressed = () => keys().filter((button) => button.getAttribute("aria-pressed") === "true");
  expect(keys().map((button) => button.textContent)).toHaveLength(9);
  expect(pressed().map((button) => button.textContent)).toEqual(["2label 1"]);
  click(keys()[8] as HTMLElement);
  change({ selected: null, stickyLabel: "label 4" });
  expect(pressed().map((button) => button.textContent)).toEqual(["5label 4"]);
  click(keys()[0] as HTMLElement);
  expect(done(given)).toEqual([
    ["setLabel", "one", "label 8"],
    ["setStickyLabel", "label 0"],
  ]);
});

describe("typing a label", () => {
  const state = { objects: OBJECTS, labels: ["dog", "cat", "cattle"], selected: "two" };

  function typing() {
    const rendered = renderStudio(<ObjectsPanel />, { state });
    perform(() => {
      rendered.page.startLabelling({ kind: "object", id: "two" });
    });
    const options = () => [...rendered.root.querySelectorAll("[role=option]")].map((option) => option.textContent);
    return { ...rendered, options, field: () => rendered.byTestId("label-input") };
  }

  it("has the focus and offers all labels with their keys, and Enter alone changes nothing", () => {
    const { field, options, given, page } = typing();
    expect(document.activeElement).toBe(field());
    expect(options()).toEqual(["dog1", "cat2", "cattle3"]);
    key(field(), "Enter");
    expect(done(given)).toEqual([]);
    expect(page.state.getState().labelling).toBeNull();
  });

  it("takes the first that fits", () => {
    const { field, given, options } = typing();
    fill(field(), "ca");
    expect(options()).toEqual(["cat2", "cattle3", "New label “ca”"]);
    expect(key(field(), "Enter")).toBe(true);
    expect(done(given)).toEqual([["setLabel", "two", "cat"]]);
  });

  it("goes to another by the arrows, around the end", () => {
    const { field, given } = typing();
    fill(field(), "ca");
    key(field(), "ArrowUp");
    key(field(), "Enter");
    expect(done(given)).toEqual([["setLabel", "two", "ca"]]);
  });

  it("takes one by the pointer", () => {
    const { root, given } = typing();
    const option = root.querySelectorAll("[role=option]")[1];
    option?.dispatchEvent(new MouseEvent("pointerdown", { bubbles: true, cancelable: true }));
    expect(done(given)).toEqual([["setLabel", "two", "cat"]]);
  });

  it("makes a new label of anything else", () => {
    const { field, given } = typing();
    fill(field(), "  zebra  crossing ");
    key(field(), "Enter");
    expect(done(given)).toEqual([["setLabel", "two", "zebra crossing"]]);
  });

  it("is given up by Escape", () => {
    const { field, given, page } = typing();
    fill(field(), "zebra");
    key(field(), "Escape");
    expect(done(given)).toEqual([]);
    expect(page.state.getState().labelling).toBeNull();
  });

  it("takes a label away", () => {
    const { field, given, page } = typing();
    key(field(), "Escape");
    perform(() => {
      page.startLabelling({ kind: "object", id: "one" });
    });
    fill(field(), "");
    key(field(), "Enter");
    expect(done(given)).toEqual([["setLabel", "one", null]]);
  });

  it("keeps its keys to itself", () => {
    const { field } = typing();
    let heard = 0;
    const listen = () => heard++;
    window.addEventListener("keydown", listen);
    key(field(), "d");
    key(field(), "Escape");
    window.removeEventListener("keydown", listen);
    expect(heard).toBe(0);
  });

  it("goes on where it was when the object's mask arrives", () => {
    const { field, change, given, page, allByTestId } = typing();
    key(field(), "Escape");
    perform(() => {
      page.startLabelling({ kind: "object", id: "three" });
    });
    change({ selected: "three" });
    fill(field(), "ze");
    expect(allByTestId("object-row")).toHaveLength(2);
    change({ objects: [...OBJECTS, objectState("three")] });
    expect(allByTestId("object-row")).toHaveLength(3);
    expect((field() as HTMLInputElement).value).toBe("ze");
    expect(document.activeElement).toBe(field());
    key(field(), "Enter");
    expect(done(given)).toEqual([["setLabel", "three", "ze"]]);
  });

  it("is for new objects where none is selected", () => {
    const { page, change, field, given, byTestId, byLabel } = renderedForNew();
    perform(() => {
      page.startLabelling({ kind: "new" });
    });
    fill(field(), "do");
    key(field(), "Enter");
    change({ stickyLabel: "dog" });
    expect(byTestId("sticky-label").textContent).toBe("New objects:dog");
    click(byLabel("New objects without a label"));
    expect(done(given)).toEqual([
      ["setStickyLabel", "dog"],
      ["setStickyLabel", null],
    ]);
  });

  function renderedForNew() {
    const rendered = renderStudio(<ObjectsPanel />, { state: { ...state, selected: null } });
    return { ...rendered, field: () => rendered.byTestId("label-input") };
  }
});
