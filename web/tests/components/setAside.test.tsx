// @vitest-environment jsdom
import { expect, it, vi } from "vitest";
import { Dialogs } from "../../src/components/Dialogs";
import { TopBar } from "../../src/components/TopBar";
import * as saving from "../../src/cutouts/saving";
import type { SetAsideObject } from "../../src/session/session";
import { objectState, picture } from "../actions/states";
import { click, perform, renderStudio } from "./renderStudio";

function aside(id: string, changes: Partial<SetAsideObject> = {}): SetAsideObject {
  const state = changes.state ?? objectState(`object-${id}`, { label: "tree" });
  const change = { id, at: "2026-03-04T05:06:07Z", action: "label", state };
  return {
    id,
    picture: 2,
    state,
    at: change.at,
    reason: "The mask is of another size.",
    changes: [{ key: 1, project: "project", picture: 2, change, reason: "The mask is of another size." }],
    isBusy: false,
    ...changes,
  };
}

const PICTURES = [picture(1), picture(2, { name: "far/away.jpg" })];

function buttons(element: HTMLElement): Map<string, HTMLButtonElement> {
  return new Map([...element.querySelectorAll("button")].map((button) => [button.textContent, button]));
}

it("is said in the bar as long as there is something, and opens from there", () => {
  const { change, byTestId, allByTestId, page } = renderStudio(<TopBar />);
  expect(allByTestId("set-aside-notice")).toEqual([]);
  change({ aside: [aside("a"), aside("b")] });
  expect(byTestId("set-aside-notice").textContent).toBe("2 set aside");
  click(byTestId("set-aside-notice"));
  expect(page.state.getState().dialog).toBe("aside");
});

it("lists what it was, where, when and why, and does what is chosen", () => {
  const gone = objectState("gone", { status: "deleted" });
  const { given, page, allByTestId, change } = renderStudio(<Dialogs />, {
    state: { pictures: PICTURES, aside: [aside("a"), aside("b", { state: gone, picture: 9 })] },
  });
  perform(() => {
    page.openDialog("aside");
  });
  const [first, second] = allByTestId("set-aside-row") as [HTMLElement, HTMLElement];
  for (const text of ["tree", "far/away.jpg", "Mar 4, 2026", "The mask is of another size."]) {
    expect(first.textContent).toContain(text);
  }
  expect(second.textContent).toContain("Deletion of: Object without a label");
  expect(second.textContent).toContain("Picture 9");
  expect([...buttons(second).keys()]).toEqual(["Try again", "Discard"]);
  click(buttons(first).get("Try again") as HTMLElement);
  click(buttons(first).get("Keep as a new object") as HTMLElement);
  click(buttons(second).get("Discard") as HTMLElement);
  expect(given).toEqual([
    ["retryAside", "a"],
    ["keepAside", "a"],
  ]);
  click(buttons(second).get("Discard for good") as HTMLElement);
  expect(given.at(-1)).toEqual(["discardAside", "b"]);
  change({ aside: [aside("a", { isBusy: true })], serverLost: true });
  const busy = allByTestId("set-aside-row")[0] as HTMLElement;
  expect([...buttons(busy).values()].every((button) => button.disabled)).toBe(true);
  expect(busy.textContent).toContain("as soon as the server is back");
  change({ aside: [] });
  expect(allByTestId("set-aside-dialog")[0]?.textContent).toContain("Nothing is set aside");
});

it("can be downloaded, every change with its mask", async () => {
  const saved = vi.spyOn(saving, "saveBlob").mockImplementation(() => undefined);
  const { page, byTestId } = renderStudio(<Dialogs />, { state: { pictures: PICTURES, aside: [aside("a")] } });
  perform(() => {
    page.openDialog("aside");
  });
  click(buttons(byTestId("set-aside-dialog")).get("Download as JSON") as HTMLElement);
  const [file, name] = saved.mock.calls[0] ?? [];
  expect(name).toBe("set-aside.json");
  expect(JSON.parse((await file?.text()) ?? "")).toMatchObject({
    project: "project",
    changes: [{ picture: 2, name: "far/away.jpg", change: { id: "a", state: { counts: "04", label: "tree" } } }],
  });
});
