// @vitest-environment jsdom
import { expect, it } from "vitest";
import { PicturesPanel } from "../../src/components/PicturesPanel";
import { findPictures, stepInList } from "../../src/components/pictureSearch";
import { Dialogs } from "../../src/components/Dialogs";
import { picture, studioState } from "../actions/states";
import { click, fill, key, perform, renderStudio, settle } from "./renderStudio";

const MANY = Array.from({ length: 10_000 }, (_, index) =>
  picture(index + 1, { name: `day ${String(index % 7)}/img_${String(index)}.jpg`, objects: index === 1 ? 12 : 0 }),
);

it("keeps few rows in the page, however many pictures there are", () => {
  const { allByTestId, root } = renderStudio(<PicturesPanel />, {
    state: { pictures: MANY, picture: MANY[0] ?? null },
  });
  const rows = allByTestId("picture-row");
  expect(rows.length).toBeLessThan(30);
  expect(rows[1]?.dataset["picture"]).toBe("2");
  expect(rows[1]?.textContent).toBe("img_1.jpgday 112");
  expect(rows[0]?.getAttribute("aria-selected")).toBe("true");
  expect(rows[0]?.getAttribute("aria-setsize")).toBe("10000");
  expect(root.querySelectorAll("img")).toHaveLength(0);
});

it("opens pictures by click and by keys, of those that are found", () => {
  const { allByTestId, byTestId, given, change } = renderStudio(<PicturesPanel />, {
    state: { pictures: MANY, picture: MANY[0] ?? null },
  });
  click(allByTestId("picture-row")[2] as HTMLElement);
  expect(key(byTestId("picture-list"), "ArrowDown")).toBe(true);
  expect(key(byTestId("picture-list"), "End")).toBe(true);
  expect(key(byTestId("picture-list"), "b")).toBe(false);
  fill(byTestId("picture-search"), "day 5 999");
  key(byTestId("picture-search"), "Enter");
  change({ picture: MANY[999] ?? null });
  expect(given).toEqual([
    ["openPicture", 3],
    ["openPicture", 2],
    ["openPicture", 10_000],
    ["openPicture", 1000],
  ]);
});

it("finds pictures by all words, in any case, and says where there is none", () => {
  expect(findPictures(MANY, "IMG_12 day").length).toBeGreaterThan(10);
  expect(findPictures(MANY, " img_1234.jpg ").map(({ id }) => id)).toEqual([1235]);
  expect(findPictures(MANY, "  ")).toBe(MANY);
  const { root, byTestId } = renderStudio(<PicturesPanel />, { state: { pictures: MANY } });
  fill(byTestId("picture-search"), "zebra");
  expect(root.textContent).toContain("No picture is called “zebra”.");
  key(byTestId("picture-search"), "Escape");
  expect((byTestId("picture-search") as HTMLInputElement).value).toBe("");
});

it("gives the search field the focus when it is asked for, and lets it go", () => {
  const { byTestId, page } = renderStudio(<PicturesPanel />, { state: { pictures: MANY } });
  for (let times = 0; times < 2; times++) {
    perform(() => {
      page.searchPictures();
    });
    expect(document.activeElement).toBe(byTestId("picture-search"));
    key(byTestId("picture-search"), "Escape");
    expect(document.activeElement).toBe(document.body);
  }
});

it("says why a picture cannot be shown", () => {
  const broken = picture(1, { error: "It is cut off." });
  const { allByTestId } = renderStudio(<PicturesPanel />, { state: { pictures: [broken], picture: null } });
  expect(allByTestId("picture-row")[0]?.title).toBe("picture 1.jpg: It is cut off.");
});

it.each([
  ["ArrowDown", 3, 4],
  ["ArrowUp", 0, 0],
  ["ArrowDown", -1, 0],
  ["PageDown", 3, 9],
  ["PageUp", 3, 0],
  ["Home", 3, 0],
  ["End", 3, 9],
  ["x", 3, null],
])("%s leads from %d to %s", (name, from, to) => {
  expect(stepInList(name, from, 10, 8)).toBe(to);
  expect(stepInList(name, from, 0, 8)).toBeNull();
});

it("tells of files that cannot be used, and opens their names and reasons", async () => {
  const files = [{ name: "IMG 1.HEIC", reason: ".heic files are not read: convert it to JPEG" }];
  const { allByTestId, byTestId, change, page, root } = renderStudio(
    <>
      <PicturesPanel />
      <Dialogs />
    </>,
    { api: { unusable: () => Promise.resolve({ total: 1501, files }) } },
  );
  expect(allByTestId("unusable-files")).toEqual([]);
  const { project } = studioState();
  change({ project: project && { ...project, unusable: 1501 } });
  expect(byTestId("unusable-files").textContent).toBe("1,501 files cannot be used");
  click(byTestId("unusable-files"));
  expect(page.state.getState().dialog).toBe("unusable");
  await settle();
  expect(allByTestId("unusable-file").map((file) => file.textContent)).toEqual([
    "IMG 1.HEIC.heic files are not read: convert it to JPEG",
  ]);
  expect(byTestId("unusable-dialog").textContent).toContain("And 1,500 more.");
  expect(root.querySelector("[role=alert]")).toBeNull();
});

it("says why the files that cannot be used are not listed", async () => {
  const { byTestId, page } = renderStudio(<Dialogs />, {
    api: { unusable: () => Promise.reject(new Error("The studio's server cannot be reached.")) },
  });
  perform(() => {
    page.openDialog("unusable");
  });
  await settle();
  expect(byTestId("unusable-dialog").querySelector("[role=alert]")?.textContent).toContain("cannot be reached");
});
