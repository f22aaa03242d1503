import { expect, it } from "vitest";
import { createPage } from "../../src/actions/page";

function storage() {
  const kept = new Map<string, string>();
  return {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => {
      kept.set(name, value);
    },
  };
}

it("changes from what the system prefers to the other theme, and remembers it", () => {
  const kept = storage();
  const page = createPage({ storage: kept, prefersDark: () => true, width: 1440 });
  expect(page.state.getState().theme).toBeNull();
  page.toggleTheme();
  expect(page.state.getState().theme).toBe("light");
  page.toggleTheme();
  expect(page.state.getState().theme).toBe("dark");
  expect(createPage({ storage: kept, prefersDark: () => false, width: 1440 }).state.getState().theme).toBe("dark");
});

it("does not mind a theme that it does not know, or a browser that remembers nothing", () => {
  const kept = storage();
  kept.setItem("anymask.theme", "sepia");
  expect(createPage({ storage: kept, prefersDark: () => true, width: 1440 }).state.getState().theme).toBeNull();
  const page = createPage({ storage: null, prefersDark: () => false, width: 1440 });
  page.toggleTheme();
  expect(page.state.getState().theme).toBe("dark");
});

it("shows the list of pictures where there is room, unless it was said otherwise", () => {
  const kept = storage();
  const surroundings = { storage: kept, prefersDark: () => false };
  expect(createPage({ ...surroundings, width: 1024 }).state.getState().picturesShown).toBe(false);
  const page = createPage({ ...surroundings, width: 1440 });
  expect(page.state.getState().picturesShown).toBe(true);
  page.togglePictures();
  expect(createPage({ ...surroundings, width: 1440 }).state.getState().picturesShown).toBe(false);
  page.searchPictures();
  expect(page.state.getState()).toMatchObject({ picturesShown: true, searching: true });
});

it("ends typing a label when a dialog opens, and forgets a dropped file when it closes", () => {
  const page = createPage({ storage: null, prefersDark: () => false, width: 1440 });
  page.startLabelling({ kind: "new" });
  page.setDraft("ca");
  page.importFile(new File([], "masks.json"));
  expect(page.state.getState()).toMatchObject({ dialog: "import", labelling: null });
  page.closeDialog();
  page.openDialog("import");
  expect(page.state.getState().fileToImport).toBeNull();
  page.startLabelling({ kind: "new" });
  expect(page.state.getState().draft).toBeNull();
});
