// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, type Api } from "../../src/api/client";
import type { Imported } from "../../src/api/types";
import { ExportDialog } from "../../src/components/ExportDialog";
import { ImportDialog } from "../../src/components/ImportDialog";
import { importedText } from "../../src/components/importedText";
import { LabelsDialog } from "../../src/components/LabelsDialog";
import { click, fill, key, perform, renderStudio, settle } from "./renderStudio";

const FORMATS = [
  { name: "coco", description: "COCO's JSON.", is_folder: false },
  { name: "yolo", description: "YOLO's text files.", is_folder: true },
];
const formats = () => Promise.resolve(FORMATS);

describe("exporting", () => {
  const saved: string[] = [];

  beforeEach(() => {
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:file", revokeObjectURL: () => undefined }));
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      saved.push(this.download);
    });
  });

  afterEach(() => {
    vi.restoreAllMocks();
    saved.length = 0;
  });

  function exporting(exportFile: Api["exportFile"], state = {}) {
    return renderStudio(<ExportDialog />, { state, api: { formats, exportFile } });
  }

  it("asks for what was chosen, and tells what the format cannot hold", async () => {
    const asked: unknown[] = [];
    const { byTestId, allByTestId } = exporting((...parameters) => {
      asked.push(parameters.slice(0, 2));
      return Promise.resolve({ name: "photos-yolo.zip", content: new Blob(["x"]), losses: ["Holes are filled."] });
    });
    await settle();
    fill(byTestId("export-format"), "yolo");
    click(byTestId("export-this"));
    click(byTestId("export-pictures"));
    click(byTestId("export-start"));
    await settle();
    expect(asked).toEqual([["yolo", { withPictures: true, pictures: [1] }]]);
    expect(saved).toEqual(["photos-yolo.zip"]);
    expect(byTestId("export-losses").textContent).toBe("Holes are filled.");
    expect(allByTestId("export-start")).toHaveLength(0);
  });

  it("takes all pictures unless it is told otherwise, and remembers the format", async () => {
    const exportFile = vi.fn(() => Promise.resolve({ name: "a", content: new Blob(), losses: [] }));
    const first = exporting(exportFile);
    await settle();
    fill(first.byTestId("export-format"), "yolo");
    click(first.byTestId("export-start"));
    await settle();
    expect(exportFile).toHaveBeenCalledWith("yolo", { withPictures: false, pictures: [] }, expect.anything());
    const { root } = exporting(exportFile);
    await settle();
    expect(root.querySelector("select")?.value).toBe("yolo");
  });

  it("waits until everything is saved", async () => {
    const exportFile = vi.fn(() => Promise.resolve({ name: "a", content: new Blob(), losses: [] }));
    const { byTestId, change, root } = exporting(exportFile, { unsaved: 2, saving: "offline", serverLost: true });
    await settle();
    click(byTestId("export-start"));
    await settle();
    expect(exportFile).not.toHaveBeenCalled();
    expect(root.textContent).toContain("begins when it is back: 2 changes are on the way");
    change({ serverLost: false, unsaved: 0, saving: "saved", decoding: true });
    await settle();
    expect(exportFile).not.toHaveBeenCalled();
    change({ decoding: false });
    await settle();
    expect(exportFile).toHaveBeenCalledTimes(1);
  });

  it("says why it failed, and may be tried again", async () => {
    const exportFile = vi.fn(() => Promise.reject(new ApiError(422, "No masks to export.")));
    const { byTestId, root } = exporting(exportFile);
    await settle();
    for (const times of [1, 2]) {
      click(byTestId("export-start"));
      await settle();
      expect(root.querySelector("[role=alert]")?.textContent).toBe("No masks to export.");
      expect(exportFile).toHaveBeenCalledTimes(times);
    }
  });
});

describe("importing", () => {
  const imported: Imported = { masks: 2, known: 1, other_images: 0, reasons: ["truck.jpg has another size."] };

  it("sends the file that was dropped, and shows what came in", async () => {
    const importFile = vi.fn(() => Promise.resolve(imported));
    const rendered = renderStudio(<ImportDialog />, { api: { formats, importFile } });
    const file = new File(["{}"], "masks.json");
    perform(() => {
      rendered.page.importFile(file);
    });
    await settle();
    fill(rendered.byTestId("import-format"), "coco");
    click(rendered.byTestId("import-start"));
    await settle();
    expect(importFile).toHaveBeenCalledWith("project", file, "coco");
    expect(rendered.given).toEqual([["reload"]]);
    expect(rendered.byTestId("import-done").textContent).toContain("2 masks came in. 1 was here before.");
    expect(rendered.byTestId("import-done").textContent).toContain("truck.jpg has another size.");
  });

  it("needs a file, and says why it failed", async () => {
    const importFile = vi.fn(() => Promise.reject(new ApiError(422, "This is no file of masks.")));
    const { byTestId, page, root, given } = renderStudio(<ImportDialog />, { api: { formats, importFile } });
    await settle();
    expect((byTestId("import-start") as HTMLButtonElement).disabled).toBe(true);
    perform(() => {
      page.importFile(new File(["x"], "song.mp3"));
    });
    click(byTestId("import-start"));
    await settle();
    expect(importFile).toHaveBeenCalledWith("project", expect.any(File), null);
    expect(root.querySelector("[role=alert]")?.textContent).toBe("This is no file of masks.");
    expect(given).toEqual([]);
  });

  it("goes on when the dialog is closed, and tells what became of it by a notice", async () => {
    for (const [importFile, kind, text] of [
      [() => Promise.resolve(imported), "info", importedText(imported)],
      [() => Promise.reject(new ApiError(422, "No masks.")), "error", "No masks."],
    ] as const) {
      const { byTestId, page, given } = renderStudio(<ImportDialog />, { api: { formats, importFile } });
      perform(() => {
        page.importFile(new File(["x"], "masks.json"));
      });
      click(byTestId("import-start"));
      perform(page.closeDialog);
      await settle();
      expect(given.at(-1)).toEqual(["notify", kind, text]);
    }
  });

  it.each([
    [{ masks: 1, known: 0, other_images: 0 }, "1 mask came in."],
    [{ masks: 0, known: 2, other_images: 1 }, "0 masks came in. 2 were here before. 1 image is not in this project."],
    [{ masks: 1500, known: 0, other_images: 3 }, "1,500 masks came in. 3 images are not in this project."],
  ])("%o", (counts, text) => {
    expect(importedText({ ...counts, reasons: [] })).toBe(text);
  });
});

describe("labels", () => {
  function labels() {
    const rendered = renderStudio(<LabelsDialog />, { state: { labels: ["cat", "dog", "car"] } });
    const names = () => rendered.allByTestId("label-row").map((row) => row.textContent);
    return { ...rendered, names };
  }

  it("are moved, added, removed and saved", () => {
    const { byLabel, byTestId, given, names } = labels();
    click(byLabel("Move car up"));
    click(byLabel("Remove cat"));
    fill(byTestId("new-label"), " tree ");
    byTestId("new-label").closest("form")?.requestSubmit();
    expect((byTestId("new-label") as HTMLInputElement).value).toBe(" tree ");
    click(byTestId("labels-save"));
    expect(given).toEqual([["setLabels", ["car", "dog", "tree"]]]);
    expect(names()[0]).toBe("1car");
  });

  it("are added by Enter, none twice", () => {
    const { byTestId, names } = labels();
    for (const label of ["tree", "tree", "dog"]) {
      fill(byTestId("new-label"), label);
      click(byTestId("new-label").closest("form")?.querySelector("button") as HTMLElement);
    }
    expect(names()).toEqual(["1cat", "2dog", "3car", "4tree"]);
  });

  it("are renamed and made one, which waits for the server and tells why it did not happen", async () => {
    const asked: [readonly string[], ReadonlyMap<string, string>][] = [];
    let refusal: Error | null = new Error("Two people work on it.");
    const { byLabel, byTestId, names, page, root, session } = labels();
    session.renameLabels = (all, renamed) => {
      asked.push([all, renamed]);
      return refusal ? Promise.reject(refusal) : Promise.resolve();
    };
    perform(() => {
      page.openDialog("labels");
    });
    const rename = (label: string, name: string, last: string) => {
      click(byLabel(`Rename ${label}`));
      fill(byTestId("rename-label"), name);
      key(byTestId("rename-label"), last);
    };
    rename("cat", "lion", "Enter");
    rename("dog", "wolf", "Escape");
    rename("car", "dog", "Enter");
    expect(names()).toEqual(["1lion was cat", "2dog was car"]);
    click(byTestId("labels-save"));
    await settle();
    expect(root.querySelector("[role=alert]")?.textContent).toBe("Two people work on it.");
    refusal = null;
    click(byTestId("labels-save"));
    await settle();
    expect(asked[1]).toEqual([["lion", "dog"], new Map(Object.entries({ cat: "lion", car: "dog" }))]);
    expect(page.state.getState().dialog).toBeNull();
  });

  it("cannot take each other's names in one step", () => {
    const { byLabel, byTestId, root } = labels();
    for (const [label, name] of [
      ["cat", "lion"],
      ["dog", "cat"],
    ] as const) {
      click(byLabel(`Rename ${label}`));
      fill(byTestId("rename-label"), name);
      key(byTestId("rename-label"), "Enter");
    }
    expect(root.querySelector("[role=alert]")?.textContent).toContain("“cat” gets another name here");
    expect((byTestId("labels-save") as HTMLButtonElement).disabled).toBe(true);
  });

  it("stay as they were when it is cancelled", () => {
    const { byLabel, given, page, root } = labels();
    perform(() => {
      page.openDialog("labels");
    });
    click(byLabel("Remove cat"));
    key(root, "x");
    click(byLabel("Close"));
    expect(given).toEqual([]);
    expect(page.state.getState().dialog).toBeNull();
  });
});
