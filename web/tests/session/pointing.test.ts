import { expect, test } from "vitest";
import type { Box } from "../../src/api/types";
import type { Preview } from "../../src/decoder/decoder";
import type { Point } from "../../src/geometry/shapes";
import { newBrowser, pass, type Tab } from "./browser";
import { FakeServer } from "./fakeServer";

type Seen = { preview: Preview | null; asked: Point | Box | null }[];

async function opened(server = new FakeServer()): Promise<{ tab: Tab; seen: Seen }> {
  const tab = newBrowser().open(server);
  await tab.ready();
  const seen: Seen = [];
  tab.session.onPreview((preview, asked) => seen.push({ preview, asked }));
  return { tab, seen };
}

test("the mask under the pointer comes while it moves, and goes when it leaves", async () => {
  const { tab, seen } = await opened();
  const point = { x: 10, y: 10 };
  tab.session.pointAt(point);
  await pass();
  expect(seen).toHaveLength(1);
  expect(seen[0]?.asked).toBe(point);
  expect(seen[0]?.preview?.rings).toHaveLength(1);
  tab.session.pointAt(null);
  tab.session.pointAt(null);
  expect(seen.slice(1)).toEqual([{ preview: null, asked: null }]);
});

test("an answer that comes after the pointer has left is not shown", async () => {
  const { tab, seen } = await opened();
  const release = tab.decoder.hold();
  tab.session.pointAt({ x: 10, y: 10 });
  tab.session.pointAt(null);
  release();
  await pass();
  expect(seen).toEqual([]);
});

test("hovering asks only with the segment tool, nothing selected, inside the picture, and an embedding", async () => {
  const server = new FakeServer();
  server.encoded = new Set();
  const tab = newBrowser().open(server);
  await tab.until((state) => state.embedding === "waiting");
  const point = { x: 10, y: 10 };
  tab.session.pointAt(point);
  await pass();
  expect(tab.decoder.hovers).toBe(0);
  server.encoded.add(1);
  await tab.ready();
  await tab.until(() => tab.decoder.hovers > 0);

  tab.session.setTool("box");
  const before = tab.decoder.hovers;
  tab.session.pointAt(point);
  tab.session.setTool("segment");
  expect(tab.decoder.hovers).toBe(before + 1);
  tab.session.pointAt({ x: 50, y: 10 });
  tab.session.click(point, true);
  tab.session.pointAt(point);
  await tab.settled();
  tab.session.pointAt(point);
  expect(tab.decoder.hovers).toBe(before + 1);
  tab.session.finish();
  expect(tab.decoder.hovers).toBe(before + 2);
});

test("a click freezes the preview until its mask is there", async () => {
  const { tab, seen } = await opened();
  tab.session.pointAt({ x: 10, y: 10 });
  await pass();
  const release = tab.decoder.hold();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.pointAt({ x: 11, y: 10 });
  tab.session.pointAt(null);
  expect(seen).toHaveLength(1);
  release();
  await tab.settled();
  expect(seen.slice(1)).toEqual([{ preview: null, asked: null }]);
  expect(tab.state.objects).toHaveLength(1);
});

test("a box is seen while it is dragged, and until its mask is there", async () => {
  const { tab, seen } = await opened();
  const box: Box = [5, 5, 20, 20];
  tab.session.dragBox(box);
  await pass();
  expect(seen[0]?.asked).toBe(box);
  tab.session.addBox(box);
  tab.session.dragBox(null);
  expect(seen).toHaveLength(1);
  await tab.settled();
  expect(seen.slice(1)).toEqual([{ preview: null, asked: null }]);
});

test("a drag that is given up shows nothing more", async () => {
  const { tab, seen } = await opened();
  const release = tab.decoder.hold();
  tab.session.dragBox([5, 5, 20, 20]);
  tab.session.dragBox(null);
  release();
  await pass();
  expect(seen).toEqual([]);
});

test("undo of a click that froze the preview lets the pointer be followed again", async () => {
  const { tab, seen } = await opened();
  tab.session.pointAt({ x: 10, y: 10 });
  await pass();
  const release = tab.decoder.hold();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.undo();
  tab.session.pointAt({ x: 20, y: 10 });
  release();
  await pass();
  expect(seen.at(-1)?.asked).toEqual({ x: 20, y: 10 });
});

test("going to another picture takes the preview away", async () => {
  const { tab, seen } = await opened();
  tab.session.pointAt({ x: 10, y: 10 });
  await pass();
  tab.session.nextPicture();
  expect(seen.at(1)).toEqual({ preview: null, asked: null });
});
