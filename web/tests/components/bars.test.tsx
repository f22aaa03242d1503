// @vitest-environment jsdom
import { Profiler } from "react";
import { expect, it } from "vitest";
import { GROUPS } from "../../src/actions/action";
import { keyText } from "../../src/actions/keys";
import { ACTIONS, TOOL_BAR } from "../../src/actions/registry";
import { ActionButton } from "../../src/components/ActionButton";
import { HelpSheet } from "../../src/components/HelpSheet";
import { ObjectsPanel } from "../../src/components/ObjectsPanel";
import { PicturesPanel } from "../../src/components/PicturesPanel";
import { ProposalsBar } from "../../src/components/ProposalsBar";
import { Readings } from "../../src/components/Readings";
import { StatusBar } from "../../src/components/StatusBar";
import { ToolBar } from "../../src/components/ToolBar";
import { TopBar } from "../../src/components/TopBar";
import { undo } from "../../src/actions/undo";
import { objectState } from "../actions/states";
import { click, key, perform, renderStudio } from "./renderStudio";

it("has a button for every action of the bar, and nothing else", () => {
  const { root } = renderStudio(<ToolBar />);
  const buttons = [...root.querySelectorAll("button")].map((button) => button.dataset["testid"]);
  expect(buttons).toEqual(TOOL_BAR.flat().map(({ name }) => name));
});

it("takes up tools, and shows which one is", () => {
  const { byTestId, given, change } = renderStudio(<ToolBar />);
  expect(byTestId("tool-segment").getAttribute("aria-pressed")).toBe("true");
  click(byTestId("tool-box"));
  expect(given).toEqual([["setTool", "box"]]);
  change({ tool: "box" });
  expect(byTestId("tool-segment").getAttribute("aria-pressed")).toBe("false");
  expect(byTestId("tool-box").getAttribute("aria-pressed")).toBe("true");
});

it("says by its button what an action does, with its key, and does nothing while it has nothing to do", () => {
  const { byTestId, given, change } = renderStudio(<ActionButton action={undo} side="right" />);
  const button = byTestId("undo");
  expect(button.getAttribute("aria-label")).toBe("Undo");
  expect(button.querySelector("kbd")?.textContent).toBe(keyText("mod+z", false));
  expect(button.getAttribute("aria-keyshortcuts")).toBe("Control+z");
  click(button);
  expect(given).toEqual([]);
  change({ canUndo: true });
  click(button);
  expect(given).toEqual([["undo"]]);
});

it("leaves the focus where it is when a button is pressed by the pointer", () => {
  const { byTestId } = renderStudio(<ToolBar />);
  const event = new MouseEvent("mousedown", { bubbles: true, cancelable: true });
  byTestId("tool-box").dispatchEvent(event);
  expect(event.defaultPrevented).toBe(true);
});

it("lists every action with all its keys in the help sheet, under its group", () => {
  const { root, page } = renderStudio(<HelpSheet />);
  for (const action of ACTIONS) {
    const line = root.querySelector(`[data-action="${action.name}"]`);
    expect(line?.querySelector("dt")?.textContent, action.name).toBe(action.label);
    const keys = [...(line?.querySelectorAll("kbd") ?? [])].map((shown) => shown.textContent);
    expect(keys).toEqual(
      action.keysShown ? [action.keysShown] : action.keys.map((shortcut) => keyText(shortcut, false)),
    );
    expect(line?.closest("section")?.getAttribute("aria-label")).toBe(action.group);
  }
  expect(root.querySelectorAll("[data-action]")).toHaveLength(ACTIONS.length);
  expect([...root.querySelectorAll("h3")].map((title) => title.textContent)).toEqual(["Pointer", ...GROUPS]);
  perform(() => {
    page.openDialog("help");
  });
  expect(key(root.querySelector("dialog") as HTMLElement, "?")).toBe(true);
  expect(page.state.getState().dialog).toBeNull();
});

it("paints nothing again while the pointer hovers over proposals", () => {
  let paintings = 0;
  const { change, byTestId } = renderStudio(
    <Profiler id="page" onRender={() => paintings++}>
      <TopBar />
      <ToolBar />
      <PicturesPanel />
      <ObjectsPanel />
      <Readings />
      <StatusBar />
    </Profiler>,
    { state: { objects: [objectState("one")], tool: "everything" } },
  );
  const first = paintings;
  for (const hoveredProposal of ["a", "b", null]) change({ hoveredProposal });
  expect(paintings).toBe(first);
  change({ unsaved: 3, saving: "saving" });
  expect(paintings).toBeGreaterThan(first);
  expect(byTestId("status").dataset["unsaved"]).toBe("3");
});

it("tells where one is among the pictures", () => {
  const { byTestId, root, change, given } = renderStudio(<TopBar />);
  expect(byTestId("position").textContent).toBe("1 / 2");
  expect(root.querySelector("h1")?.textContent).toBe("picture 1.jpg");
  click(byTestId("next-picture"));
  expect(given).toEqual([["nextPicture"]]);
  change({ picture: { id: 2, name: "cats/tom.jpg", width: 1, height: 1, objects: 0, error: null } });
  expect(byTestId("position").textContent).toBe("2 / 2");
  expect(root.querySelector("h1")?.textContent).toBe("cats/tom.jpg");
});

it("offers the readings of a click, with what the model promises of each", () => {
  const candidate = (score: number) => ({
    counts: "",
    area: 1,
    bounds: [0, 0, 1, 1] as [number, number, number, number],
    score,
    rings: [],
  });
  const readings = { object: "one", candidates: [0.812, 0.9, 0.4].map(candidate), chosen: 1 };
  const { byTestId, root, given, change } = renderStudio(<Readings />, { state: { readings } });
  expect(byTestId("readings").dataset["chosen"]).toBe("1");
  expect([...root.querySelectorAll("button")].map((button) => button.textContent)).toEqual([
    "Small 0.81",
    "Medium 0.90",
    "Large 0.40",
  ]);
  expect(byTestId("reading-1").getAttribute("aria-pressed")).toBe("true");
  click(byTestId("reading-2"));
  expect(given).toEqual([["chooseReading", 2]]);
  change({ readings: null });
  expect(root.textContent).toBe("");
});

it("counts what is proposed while the everything tool is taken up, and accepts it all", () => {
  const proposal = { id: "a", counts: "", score: 1, stability: 1, area: 1, point: [0, 0] as [number, number] };
  const { root, byTestId, change, given } = renderStudio(<ProposalsBar />, { state: { proposals: [proposal] } });
  expect(root.textContent).toBe("");
  change({ tool: "everything" });
  expect(byTestId("proposals").textContent).toContain("1 proposed");
  click(byTestId("accept-all"));
  expect(given).toEqual([["acceptAllProposals"]]);
  change({ proposals: [] });
  expect(byTestId("proposals").textContent).toBe("Nothing more is proposed here");
  change({ proposals: null });
  expect(root.textContent).toBe("");
});
