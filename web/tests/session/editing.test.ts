import { expect, test } from "vitest";
import { opened } from "./opened";
import { pass } from "./browser";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer } from "./fakeServer";

test("a click makes an object, is saved, and the next click refines it", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  expect(tab.state.selected).not.toBeNull();
  expect(tab.state.waiting).toEqual([
    { object: tab.state.selected, click: { x: 10, y: 10, positive: true }, box: null },
  ]);
  await tab.settled();
  expect(server.present(1)).toEqual(tab.state.objects);
  expect(tab.state.objects[0]).toMatchObject({ version: 1, source: "assisted", finished: false, color: 0, order: 1 });

  tab.session.click({ x: 20, y: 10 }, false);
  await tab.settled();
  expect(server.present(1)).toEqual(tab.state.objects);
  expect(tab.state.objects).toHaveLength(1);
  expect(tab.state.objects[0]?.prompts?.clicks).toEqual([
    { x: 10, y: 10, positive: true },
    { x: 20, y: 10, positive: false },
  ]);
  expect(server.log.map(({ change }) => change.action)).toEqual(["click", "click"]);
});

test("quick clicks are all answered, each as a step of its own", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const release = tab.decoder.hold();
  for (let x = 5; x < 15; x++) tab.session.click({ x, y: 10 }, true);
  expect(tab.state.waiting).toHaveLength(10);
  release();
  await tab.settled();
  expect(tab.state.objects).toHaveLength(1);
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(10);
  expect(server.log).toHaveLength(10);
  for (let i = 0; i < 10; i++) tab.session.undo();
  expect(tab.state.objects).toEqual([]);
  expect(tab.state.canUndo).toBe(false);
});

test("finishing lets the next click begin another object, with the next colour, on top", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.finish();
  tab.session.click({ x: 30, y: 10 }, true);
  tab.session.finish();
  expect(tab.state.selected).toBeNull();
  await tab.settled();
  expect(server.present(1)).toMatchObject([
    { finished: true, color: 0, order: 1, version: 1 },
    { finished: true, color: 1, order: 2, version: 1 },
  ]);
});

test("a negative click with nothing selected takes from the object under it, or does nothing", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  tab.session.finish();
  const [object] = tab.state.objects;
  tab.session.click({ x: 30, y: 20 }, false);
  expect([tab.state.selected, tab.state.waiting]).toEqual([null, []]);
  tab.session.click({ x: 11, y: 11 }, false);
  expect(tab.state.selected).toBe(object?.id);
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(2);
});

test("clicks outside of the picture are nothing", async () => {
  const tab = await opened();
  tab.session.click({ x: -3, y: 10 }, true);
  tab.session.click({ x: 10, y: 31 }, true);
  expect([tab.state.selected, tab.state.waiting]).toEqual([null, []]);
});

test("a removed click is replayed without; without any click the object is gone, and undo brings it back", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 20, y: 10 }, true);
  await tab.settled();
  const id = tab.state.selected ?? "";
  tab.session.removeClick(id, 0);
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toEqual([{ x: 20, y: 10, positive: true }]);
  expect(tab.state.readings?.candidates).toHaveLength(3);
  tab.session.removeClick(id, 0);
  await tab.settled();
  expect(tab.state.objects).toEqual([]);
  tab.session.undo();
  expect(tab.state.objects[0]).toMatchObject({ id, prompts: { clicks: [{ x: 20, y: 10 }] } });
});

test("removing a point twice in a hurry removes only that point", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 20, y: 10 }, true);
  await tab.settled();
  const id = tab.state.selected ?? "";
  tab.session.removeClick(id, 0);
  tab.session.removeClick(id, 0);
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toEqual([{ x: 20, y: 10, positive: true }]);
});

test("a box makes a new object, is clipped to the picture, and clicks refine it", async () => {
  const tab = await opened();
  tab.session.click({ x: 5, y: 5 }, true);
  tab.session.addBox([20, 10, 90, 20]);
  tab.session.click({ x: 25, y: 15 }, false);
  await tab.settled();
  expect(tab.state.objects).toMatchObject([
    { finished: true },
    { finished: false, prompts: { box: [20, 10, 40, 20], clicks: [{ x: 25, y: 15, positive: false }] } },
  ]);
  tab.session.addBox([5, 5, 5.4, 20]);
  expect(tab.state.waiting).toEqual([]);
});

test("an object deleted while it is refined stays deleted", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  const release = tab.decoder.hold();
  tab.session.click({ x: 20, y: 10 }, true);
  tab.session.remove(tab.state.selected ?? "");
  expect(tab.state.selected).toBeNull();
  release();
  await tab.settled();
  expect(tab.state.objects).toEqual([]);
  expect(server.all(1)).toMatchObject([{ status: "deleted", version: 2 }]);
});

test("what is said of an object before its first answer is not lost", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const release = tab.decoder.hold();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.setLabel(tab.state.selected ?? "", "tree");
  tab.session.setColor(tab.state.selected ?? "", 2);
  tab.session.finish();
  release();
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ label: "tree", color: 2, finished: true, version: 1 }]);
  expect(tab.state.labels).toEqual(["tree"]);
});

test("discarding gives up what is not finished, and lets go of what is", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  tab.session.discard();
  expect([tab.state.objects, tab.state.selected]).toEqual([[], null]);
  tab.session.undo();
  expect(tab.state.objects).toHaveLength(1);
  tab.session.finish();
  const id = tab.state.objects[0]?.id ?? "";
  tab.session.select(id);
  tab.session.click({ x: 14, y: 10 }, true);
  await tab.settled();
  tab.session.discard();
  expect(tab.state.selected).toBeNull();
  expect(tab.state.objects[0]).toMatchObject({ id, finished: true });
});

test("a decoder that fails leaves the object as it was, and says so", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  const before = tab.state.objects;
  tab.decoder.failure = new Error("The decoder ran out of memory.");
  tab.session.click({ x: 20, y: 10 }, true);
  tab.session.finish();
  await tab.until((state) => state.notices.length > 0 && !state.decoding);
  expect(tab.state.notices).toMatchObject([{ kind: "error", text: "The decoder ran out of memory." }]);
  expect(tab.state.objects).toEqual(before.map((object) => ({ ...object, finished: true, version: 2 })));

  tab.session.click({ x: 20, y: 10 }, true);
  await pass();
  expect([tab.state.selected, tab.state.waiting]).toEqual([null, []]);
  tab.decoder.failure = null;
  tab.session.click({ x: 20, y: 10 }, true);
  await tab.settled();
  expect(tab.state.objects).toHaveLength(2);
});

test("a click that leaves nothing changes nothing, and says so", async () => {
  const tab = await opened();
  tab.session.addBox([5, 5, 9, 9]);
  await tab.settled();
  const before = tab.state.objects;
  tab.session.click({ x: 7, y: 7 }, false);
  await tab.until((state) => state.notices.length > 0);
  expect(tab.state.notices[0]?.text).toContain("finds nothing");
  expect(tab.state.objects).toEqual(before);
});

test("refining an imported mask starts from it, and removing the click gives it back", async () => {
  const server = new FakeServer();
  const decoder = new FakeDecoder();
  decoder.pictures.set(1, { width: 40, height: 30 });
  const box = { clicks: [], choice: null, base: null, box: [2, 2, 12, 12] as [number, number, number, number] };
  const counts = decoder.answerAt(1, box).candidates[0]?.counts ?? "";
  server.put(1, {
    id: crypto.randomUUID(),
    version: 1,
    status: "present",
    counts,
    prompts: null,
    label: null,
    color: 0,
    visible: true,
    order: 1,
    score: null,
    source: "imported",
    finished: true,
    model: null,
  });
  const tab = await opened(server, decoder);
  tab.session.select(tab.state.objects[0]?.id ?? null);
  tab.session.click({ x: 20, y: 20 }, true);
  await tab.settled();
  expect(tab.state.objects[0]).toMatchObject({ source: "assisted", prompts: { base: counts, clicks: [{ x: 20 }] } });
  tab.session.removeClick(tab.state.selected ?? "", 0);
  await tab.settled();
  expect(tab.state.objects[0]).toMatchObject({ counts, prompts: null });
});

test("the sticky label names new objects", async () => {
  const tab = await opened();
  tab.session.setStickyLabel("  big   tree ");
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  expect(tab.state.objects[0]?.label).toBe("big tree");
  tab.session.setStickyLabel(null);
  tab.session.addBox([20, 10, 30, 20]);
  await tab.settled();
  expect(tab.state.objects[1]?.label).toBeNull();
});

test("the smallest visible object under a point is found", async () => {
  const tab = await opened();
  tab.session.addBox([2, 2, 30, 25]);
  tab.session.addBox([5, 5, 15, 15]);
  await tab.settled();
  const [large, small] = tab.state.objects.map((object) => object.id);
  expect(tab.session.objectAt({ x: 10, y: 10 })).toBe(small);
  expect(tab.session.objectAt({ x: 20, y: 20 })).toBe(large);
  expect(tab.session.objectAt({ x: 35, y: 28 })).toBeNull();
  tab.session.setVisible(small ?? "", false);
  expect(tab.session.objectAt({ x: 10, y: 10 })).toBe(large);
  tab.session.setMasksHidden(true);
  expect(tab.session.objectAt({ x: 10, y: 10 })).toBeNull();
});

test("taking up a tool for new objects finishes the selected one; others keep it", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  for (const tool of ["remove", "pan", "select", "segment"] as const) {
    tab.session.setTool(tool);
    expect(tab.state.selected).not.toBeNull();
  }
  tab.session.setTool("box");
  expect(tab.state.selected).toBeNull();
  expect(tab.state.objects[0]?.finished).toBe(true);
});
