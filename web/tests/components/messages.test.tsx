// @vitest-environment jsdom
import { act } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DropZone } from "../../src/components/DropZone";
import { ErrorBoundary } from "../../src/components/ErrorBoundary";
import { Hint } from "../../src/components/Hint";
import { Notices } from "../../src/components/Notices";
import { StartScreen } from "../../src/components/StartScreen";
import { objectState, picture, recordedContext } from "../actions/states";
import { click, perform, renderStudio } from "./renderStudio";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("notices", () => {
  it("go by themselves, errors only when they are dismissed", () => {
    vi.useFakeTimers();
    const { allByTestId, given } = renderStudio(<Notices />, {
      state: {
        notices: [
          { id: 1, kind: "info", text: "Copied." },
          { id: 2, kind: "error", text: "Not copied." },
        ],
      },
    });
    expect(allByTestId("notice").map((notice) => [notice.dataset["kind"], notice.getAttribute("role")])).toEqual([
      ["info", null],
      ["error", "alert"],
    ]);
    act(() => {
      vi.advanceTimersByTime(60_000);
    });
    expect(given).toEqual([["dismiss", 1]]);
    click(allByTestId("notice")[1]?.querySelector("button") as HTMLElement);
    expect(given.at(-1)).toEqual(["dismiss", 2]);
  });

  it("stay while the pointer is on them", () => {
    vi.useFakeTimers();
    const { byTestId, given } = renderStudio(<Notices />, {
      state: { notices: [{ id: 1, kind: "info", text: "Copied." }] },
    });
    const move = (type: string, relatedTarget: Element | null) => {
      act(() => {
        byTestId("notice").dispatchEvent(new MouseEvent(type, { bubbles: true, relatedTarget }));
      });
    };
    move("pointerover", document.body);
    act(() => {
      vi.advanceTimersByTime(60_000);
    });
    expect(given).toEqual([]);
    move("pointerout", document.body);
    act(() => {
      vi.advanceTimersByTime(60_000);
    });
    expect(given).toEqual([["dismiss", 1]]);
  });
});

describe("the hint", () => {
  it("says what to do, until the first object is there, and never again", () => {
    const first = renderStudio(<Hint />);
    expect(first.byTestId("hint").textContent).toBe("Point at something and click.");
    first.change({ tool: "box" });
    expect(first.byTestId("hint").textContent).toBe("Drag a box around something.");
    first.change({ objects: [objectState("one")] });
    expect(first.allByTestId("hint")).toHaveLength(0);
    first.change({ objects: [], picture: picture(2) });
    expect(first.allByTestId("hint")).toHaveLength(0);
    expect(renderStudio(<Hint />).allByTestId("hint")).toHaveLength(0);
  });

  it("says why nothing can be done, whoever knows how", () => {
    const { root } = renderStudio(<Hint />, { state: { decoder: "failed", objects: [objectState("one")] } });
    expect(root.querySelector("[role=alert]")?.textContent).toBe("The decoder could not be started; reload the page");
  });

  it("is silent over a picture that cannot be shown", () => {
    const { allByTestId } = renderStudio(<Hint />, { state: { picture: picture(1, { error: "broken" }) } });
    expect(allByTestId("hint")).toHaveLength(0);
  });
});

describe("before there is a picture", () => {
  it.each([
    [{ project: null, picture: null, serverLost: true }, "anymask studio FOLDER"],
    [{ project: null, picture: null }, "Opening…"],
  ])("%o", (state, text) => {
    expect(renderStudio(<StartScreen />, { state }).root.textContent).toContain(text);
  });

  it("tells an empty folder from one that is opening", () => {
    const { session, root, change } = renderStudio(<StartScreen />, { state: { picture: null } });
    expect(root.textContent).toBe("Opening…");
    const { project } = session.state.getState();
    change({ project: project && { ...project, pictures: 0 } });
    expect(root.textContent).toContain("No pictures in photos");
    change({ picture: picture(1) });
    expect(root.textContent).toBe("");
  });
});

describe("files dropped on the page", () => {
  function drop(files: File[], isDirectory = false): DragEvent {
    const event = new Event("drop", { cancelable: true });
    const items = [{ webkitGetAsEntry: () => ({ isDirectory }) }];
    return Object.assign(event, { dataTransfer: { types: ["Files"], files, items } }) as unknown as DragEvent;
  }

  it("are imported one at a time", () => {
    const { page, given } = renderStudio(<DropZone />);
    const file = new File([], "masks.json");
    const event = drop([file]);
    act(() => {
      window.dispatchEvent(event);
    });
    expect(event.defaultPrevented).toBe(true);
    expect(page.state.getState()).toMatchObject({ dialog: "import", fileToImport: file });
    perform(() => {
      page.closeDialog();
    });
    act(() => {
      window.dispatchEvent(drop([file, file]));
      window.dispatchEvent(drop([file], true));
    });
    expect(page.state.getState().dialog).toBeNull();
    expect(given.map(([command, kind]) => [command, kind])).toEqual([
      ["notify", "warning"],
      ["notify", "warning"],
    ]);
  });
});

it("keeps what is unsaved when painting the page fails, and says so", () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const { session } = recordedContext({ unsaved: 2 });
  const Broken = () => {
    throw new Error("painting failed");
  };
  const { root } = renderStudio(
    <ErrorBoundary session={session}>
      <Broken />
    </ErrorBoundary>,
  );
  expect(root.textContent).toContain("2 changes are being saved; they are kept in this browser. Reload");
  act(() => {
    session.state.setState({ unsaved: 0 });
  });
  expect(root.textContent).toContain("All that you did is saved.");
});
