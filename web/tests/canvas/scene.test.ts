import { describe, expect, it } from "vitest";
import type { ObjectState, Proposal } from "../../src/api/types";
import { interactionScene, maskItems, sameMasks, samePointing } from "../../src/canvas/scene";
import type { Rings } from "../../src/geometry/shapes";
import type { StudioState } from "../../src/session/session";
import { objectState, studioState } from "../actions/states";
import { answeringSession } from "../tools/sessions";

const RINGS: Rings = [new Float32Array([0, 0, 1, 0, 1, 1])];
const PICTURE = { width: 640, height: 480 };
const IDLE = { marked: { click: null, object: null }, dragged: null };
const PREVIEW = { rings: RINGS, score: 0.9 };

function scene(changes: Partial<StudioState>, hand: Partial<Parameters<typeof interactionScene>[4]> = {}) {
  const { session } = answeringSession(changes, { outline: RINGS, outlineOfProposal: RINGS });
  return interactionScene(session, session.state.getState(), PICTURE, PREVIEW, { ...IDLE, ...hand });
}

function items(changes: Partial<StudioState>): string[] {
  const { session } = answeringSession(changes);
  return maskItems(session, session.state.getState()).map(({ id }) => id);
}

const proposal = (id: string): Proposal => ({ id, counts: "04", score: 1, stability: 1, area: 4, point: [1, 1] });
const objects = [objectState("a", { color: 0 }), objectState("b", { visible: false }), objectState("c", { color: 1 })];

describe("what rests on the picture", () => {
  it("is every visible object but the selected one, in their order", () => {
    expect(items({ objects })).toEqual(["a", "c"]);
    expect(items({ objects, selected: "a" })).toEqual(["c"]);
  });

  it("is nothing while masks are hidden", () => {
    expect(items({ objects, masksHidden: true })).toEqual([]);
  });

  it("has proposals under the objects, with the everything tool alone", () => {
    const proposals = [proposal("p")];
    expect(items({ objects, proposals })).toEqual(["a", "c"]);
    expect(items({ objects, proposals, tool: "everything" })).toEqual(["p", "a", "c"]);
    expect(items({ objects, proposals: null, tool: "everything" })).toEqual(["a", "c"]);
  });

  it("has the palette's colours, from its beginning again after its end", () => {
    const { session } = answeringSession({ objects: [objectState("a", { color: 1 }), objectState("b", { color: 2 })] });
    const looks = maskItems(session, session.state.getState()).map(({ look }) => look.fill);
    expect(looks).toEqual(["#3cb44b", "#e6194b"]);
  });

  it("asks for outlines only when they are painted", () => {
    const { session, commands } = answeringSession({ objects }, { outline: RINGS });
    const [first] = maskItems(session, session.state.getState());
    expect(commands).toEqual([]);
    expect(first?.rings()).toBe(RINGS);
    expect(commands).toEqual([["outline", objects[0]]]);
  });

  it.each<[Partial<StudioState>, boolean]>([
    [{ decoding: true, unsaved: 3, hoveredProposal: "p" }, true],
    [{ objects: [] }, false],
    [{ selected: "a" }, false],
    [{ masksHidden: true }, false],
    [{ tool: "box" }, false],
    [{ proposals: [] }, false],
  ])("with %o is the same: %s", (change, same) => {
    const before = studioState({ objects });
    expect(sameMasks({ ...before, ...change }, before)).toBe(same);
  });
});

describe("what is on top", () => {
  it("previews in the colour that a new object would get", () => {
    expect(scene({ objects: [objects[0] as ObjectState] }).preview).toEqual({ rings: RINGS, color: "#3cb44b" });
  });

  it("has the selected object with its clicks and box", () => {
    const prompts = { clicks: [{ x: 1, y: 2, positive: true }], box: [0, 0, 5, 5] as const, choice: null, base: null };
    const selected = objectState("a", { prompts: { ...prompts, box: [...prompts.box] } });
    expect(scene({ objects: [selected], selected: "a" }).selected).toEqual({
      rings: RINGS,
      color: "#e6194b",
      clicks: prompts.clicks,
      box: [0, 0, 5, 5],
    });
  });

  it.each<[string, Partial<StudioState>]>([
    ["it is hidden", { objects: [objectState("a", { visible: false })] }],
    ["all masks are", { objects: [objectState("a")], masksHidden: true }],
  ])("hides the selected object's mask while %s", (_, state) => {
    expect(scene({ ...state, selected: "a" }).selected?.rings).toEqual([]);
  });

  it("has nothing selected until its first click is answered, only the click that waits", () => {
    const waiting = [{ object: "new", click: { x: 1, y: 1, positive: true }, box: null }];
    const shown = scene({ selected: "new", waiting });
    expect(shown.selected).toBeNull();
    expect(shown.waiting).toBe(waiting);
  });

  it("marks a click of the selected object alone", () => {
    const click = { object: "a", index: 2, click: { x: 1, y: 1, positive: true } };
    const marked = { click, object: null };
    expect(scene({ objects, selected: "a" }, { marked }).markedClick).toBe(2);
    expect(scene({ objects, selected: "c" }, { marked }).markedClick).toBeNull();
  });

  it("marks the object that is meant on the stage or in the list, unless that is selected already", () => {
    expect(scene({ objects, marked: "c" }).marked).toEqual({ rings: RINGS, color: "#3cb44b" });
    expect(scene({ objects, marked: "c", selected: "c" }).marked).toBeNull();
    expect(scene({ objects, marked: "gone" }).marked).toBeNull();
  });

  it("has the hovered proposal, with the everything tool alone", () => {
    const state = { proposals: [proposal("p")], hoveredProposal: "p" };
    expect(scene({ ...state, tool: "everything" }).proposal?.rings).toBe(RINGS);
    expect(scene({ ...state, tool: "segment" }).proposal).toBeNull();
    expect(scene({ ...state, hoveredProposal: "gone", tool: "everything" }).proposal).toBeNull();
  });

  it("has the box that is dragged, clipped to the picture", () => {
    const dragged = { from: { x: 600, y: 10 }, to: { x: 700, y: 20 } };
    expect(scene({}, { dragged }).box).toEqual([600, 10, 640, 20]);
  });
});

describe("a preview", () => {
  it.each<[Partial<StudioState>, boolean]>([
    [{ decoding: true, unsaved: 1 }, true],
    [{ selected: "a" }, false],
    [{ embedding: "loading" }, false],
    [{ tool: "select" }, false],
  ])("that comes after %o still answers the pointer: %s", (change, same) => {
    expect(samePointing(studioState(change), studioState())).toBe(same);
  });
});
