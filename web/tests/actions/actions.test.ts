import { describe, expect, it } from "vitest";
import { clearLabel } from "../../src/actions/clearLabel";
import { discardObject } from "../../src/actions/discardObject";
import { labelByNumber } from "../../src/actions/labelByNumber";
import { nextObject } from "../../src/actions/nextObject";
import { previousObject } from "../../src/actions/previousObject";
import { previousReading } from "../../src/actions/previousReading";
import { showObject } from "../../src/actions/showObject";
import { typeLabel } from "../../src/actions/typeLabel";
import { objectState, recordedContext } from "./states";

const OBJECTS = ["one", "two", "three"].map((id) => objectState(id));

describe("labels by number", () => {
  it("go to the selected object", () => {
    const { context, given } = recordedContext({ labels: ["cat", "dog"], objects: OBJECTS, selected: "two" });
    labelByNumber.run(context, "2");
    expect(given).toEqual([["setLabel", "two", "dog"]]);
  });

  it("are kept for new objects where none is selected", () => {
    const { context, given } = recordedContext({ labels: ["cat", "dog"] });
    labelByNumber.run(context, "1");
    expect(given).toEqual([["setStickyLabel", "cat"]]);
  });

  it("say so where there is no such label", () => {
    const { context, given } = recordedContext({ labels: ["cat"], selected: "two" });
    labelByNumber.run(context, "4");
    expect(given).toEqual([["notify", "info", expect.stringMatching(/number 4: there is only 1\. Press L/)]]);
  });

  it("are taken away by 0 and Escape", () => {
    const selected = recordedContext({ objects: OBJECTS, selected: "one", stickyLabel: "cat" });
    clearLabel.run(selected.context, "0");
    discardObject.run(selected.context, "Escape");
    expect(selected.given).toEqual([["setLabel", "one", null], ["discard"]]);
    const free = recordedContext({ stickyLabel: "cat" });
    clearLabel.run(free.context, "0");
    discardObject.run(free.context, "Escape");
    expect(free.given).toEqual([
      ["setStickyLabel", null],
      ["setStickyLabel", null],
    ]);
  });

  it("are typed for the selected object, or for new ones", () => {
    const { context, page, session } = recordedContext({ objects: OBJECTS, selected: "one" });
    typeLabel.run(context, "l");
    expect(page.state.getState().labelling).toEqual({ kind: "object", id: "one" });
    session.state.setState({ selected: null });
    typeLabel.run(context, "l");
    expect(page.state.getState().labelling).toEqual({ kind: "new" });
  });
});

describe("going through the list", () => {
  it.each([
    ["one", "two", "three"],
    ["three", "one", "two"],
    [null, "one", "three"],
    ["not there yet", "one", "three"],
  ])("from %s", (selected, next, previous) => {
    const { context, given } = recordedContext({ objects: OBJECTS, selected });
    nextObject.run(context, "j");
    previousObject.run(context, "k");
    expect(given).toEqual([
      ["select", next],
      ["select", previous],
    ]);
  });
});

it("goes round the readings backwards", () => {
  const candidate = {
    counts: "",
    area: 0,
    bounds: [0, 0, 1, 1] as [number, number, number, number],
    score: 1,
    rings: [],
  };
  const readings = { object: "one", candidates: [candidate, candidate, candidate], chosen: 0 };
  const { context, given } = recordedContext({ readings });
  previousReading.run(context, "shift+g");
  expect(given).toEqual([["chooseReading", 2]]);
});

it("turns what is seen into what is hidden, and back", () => {
  const hidden = objectState("two", { visible: false });
  const { context, given, session } = recordedContext({ objects: [objectState("one"), hidden], selected: "one" });
  expect(showObject.pressed?.(session.state.getState())).toBe(false);
  showObject.run(context, "x");
  session.state.setState({ selected: "two" });
  expect(showObject.pressed?.(session.state.getState())).toBe(true);
  showObject.run(context, "x");
  expect(given).toEqual([
    ["setVisible", "one", false],
    ["setVisible", "two", true],
  ]);
});
