import { expect, test } from "vitest";
import { newBrowser, pass, type Tab } from "./browser";
import { FakeServer } from "./fakeServer";
import { opened } from "./opened";

/** A mask by what it covers, which is easier to compare than run lengths. */
function counts(tab: Tab): string[] {
  return tab.state.objects.map((object) => object.counts);
}

test("the three readings of a lone click are one command apart, and undo takes the choice back", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  expect(tab.state.readings).toMatchObject({ object: tab.state.selected, chosen: 1 });
  const [first] = counts(tab);
  tab.session.nextReading();
  expect(tab.state.readings?.chosen).toBe(2);
  expect(tab.state.objects[0]).toMatchObject({ prompts: { choice: 2 }, version: 2 });
  expect(counts(tab)).not.toEqual([first]);
  tab.session.nextReading();
  expect(tab.state.readings?.chosen).toBe(0);
  tab.session.chooseReading(0);
  await tab.settled();
  expect(server.log).toHaveLength(3);
  tab.session.undo();
  tab.session.undo();
  expect(counts(tab)).toEqual([first]);
  expect(tab.state.readings?.chosen).toBe(1);
  tab.session.click({ x: 20, y: 10 }, true);
  await tab.settled();
  expect(tab.state.readings).toBeNull();
});

test("the chosen reading stays when further clicks come, and goes with its click", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  tab.session.chooseReading(2);
  tab.session.click({ x: 20, y: 10 }, true);
  await tab.settled();
  expect(tab.decoder.asked.at(-1)?.prompts.choice).toBe(2);
  tab.session.removeClick(tab.state.selected ?? "", 0);
  await tab.settled();
  expect(tab.decoder.asked.at(-1)?.prompts).toMatchObject({ choice: null, clicks: [{ x: 20, y: 10 }] });
});

test("undo goes back through click, box, label and delete, and redo forward again", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const seen = [tab.state.objects.map(described)];
  const look = async () => {
    await tab.settled();
    seen.push(tab.state.objects.map(described));
  };
  tab.session.click({ x: 10, y: 10 }, true);
  await look();
  tab.session.click({ x: 14, y: 10 }, true);
  await look();
  tab.session.finish();
  tab.session.addBox([20, 10, 30, 20]);
  await look();
  const [first, second] = tab.state.objects.map((object) => object.id);
  tab.session.setLabel(first ?? "", " tree ");
  await look();
  tab.session.setColor(second ?? "", 2);
  await look();
  tab.session.setVisible(second ?? "", false);
  await look();
  tab.session.remove(first ?? "");
  await look();

  for (const before of seen.slice(0, -1).toReversed()) {
    tab.session.undo();
    expect(tab.state.objects.map(described)).toEqual(before);
  }
  expect(tab.state.canUndo).toBe(false);
  tab.session.undo();
  for (const after of seen.slice(1)) {
    tab.session.redo();
    expect(tab.state.objects.map(described)).toEqual(after);
  }
  expect(tab.state.canRedo).toBe(false);
  await tab.settled();
  expect(server.present(1)).toEqual(tab.state.objects);
  expect(tab.state.notices).toEqual([]);
});

test("undo of a finished object's last click takes it up again, but never in the place of another", async () => {
  const tab = await opened();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 14, y: 10 }, true);
  tab.session.finish();
  await tab.settled();
  const [object] = tab.state.objects;
  tab.session.undo();
  expect(tab.state.selected).toBe(object?.id);
  expect(tab.state.objects[0]).toMatchObject({ finished: false, version: 3 });
  tab.session.redo();
  expect(tab.state.selected).toBeNull();
  expect(tab.state.objects[0]).toMatchObject({ finished: true, version: 4 });

  tab.session.click({ x: 30, y: 20 }, true);
  await tab.settled();
  const other = tab.state.selected;
  tab.session.setLabel(object?.id ?? "", "tree");
  tab.session.undo();
  expect(tab.state.selected).toBe(other);
});

test("undo while a click is being answered takes that click back, and redo asks again", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  const release = tab.decoder.hold();
  tab.session.click({ x: 20, y: 10 }, true);
  expect(tab.state.decoding).toBe(true);
  tab.session.undo();
  expect(tab.state.waiting).toEqual([]);
  expect([tab.state.canUndo, tab.state.canRedo]).toEqual([true, true]);
  release();
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(1);
  expect(server.log).toHaveLength(1);
  tab.session.redo();
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(2);
  expect(tab.state.canRedo).toBe(false);
});

test("undo of the first click while it is being answered leaves nothing", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const release = tab.decoder.hold();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.undo();
  expect([tab.state.selected, tab.state.waiting]).toEqual([null, []]);
  release();
  await tab.settled();
  expect([tab.state.objects, server.log]).toEqual([[], []]);
  tab.session.redo();
  expect(tab.state.selected).not.toBeNull();
  await tab.settled();
  expect(tab.state.objects).toHaveLength(1);
});

test("a second click that is taken back comes again although the first one is still being answered", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const release = tab.decoder.hold();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 20, y: 10 }, true);
  tab.session.undo();
  tab.session.redo();
  expect(tab.state.waiting).toHaveLength(2);
  release();
  await tab.settled();
  expect(tab.state.objects.map((object) => object.prompts?.clicks.length)).toEqual([2]);
});

function described({ counts: mask, label, color, visible, prompts }: Tab["state"]["objects"][number]): object {
  return { mask, label, color, visible, prompts };
}

test("undo and redo go on after a reload", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = browser.open(server);
  await tab.ready();
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 14, y: 10 }, true);
  await tab.settled();
  tab.session.finish();
  tab.session.addBox([20, 5, 35, 20]);
  await tab.settled();
  tab.session.setLabel(tab.state.selected ?? "", "tree");
  tab.session.undo();
  await tab.settled();
  const before = tab.state.objects;
  tab.page.dispatchEvent(new Event("pagehide"));
  await pass();
  browser.kill();

  const again = browser.open(server);
  await again.ready();
  await again.until((state) => state.canUndo && state.canRedo);
  again.session.redo();
  await again.settled();
  expect(again.state.objects[1]?.label).toBe("tree");
  for (let step = 0; step < 4; step++) again.session.undo();
  await again.settled();
  expect([again.state.objects, again.state.canUndo]).toEqual([[], false]);
  for (let step = 0; step < 3; step++) again.session.redo();
  await again.settled();
  expect(again.state.objects.map(described)).toEqual(before.map(described));
  expect(server.present(1)).toEqual(again.state.objects);
});

test("after a reload, undo reaches no object that was changed elsewhere meanwhile", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = browser.open(server);
  await tab.ready();
  for (const x of [5, 20]) {
    tab.session.click({ x, y: 10 }, true);
    await tab.settled();
    tab.session.finish();
  }
  await tab.settled();
  const [first, second] = tab.state.objects;
  if (!first || !second) throw new Error("The clicks made no objects.");
  tab.page.dispatchEvent(new Event("pagehide"));
  await pass();
  browser.kill();
  server.put(1, { ...first, version: first.version + 1, status: "deleted" });
  const again = browser.open(server);
  await again.ready();
  await again.until((state) => state.canUndo);
  again.session.undo();
  expect([again.state.objects, again.state.canUndo]).toEqual([[], false]);
  again.session.redo();
  await again.settled();
  expect(server.present(1)).toMatchObject([{ id: second.id, counts: second.counts }]);
});

test("what is done before the objects have come is undone first, and then what an earlier visit did", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = browser.open(server);
  await tab.ready();
  tab.session.click({ x: 5, y: 10 }, true);
  await tab.settled();
  tab.session.finish();
  await tab.settled();
  tab.page.dispatchEvent(new Event("pagehide"));
  await pass();
  browser.kill();
  let answer: () => void = () => undefined;
  // The picture itself is found first, and then read with its objects.
  let asked = 0;
  server.beforeOpening = () => (++asked === 1 ? undefined : new Promise((resolve) => (answer = resolve)));
  const again = browser.open(server);
  await again.until((state) => state.embedding === "ready" && asked === 2);
  expect(again.state.objectsState).toBe("loading");
  again.session.click({ x: 30, y: 10 }, true);
  await again.until((state) => state.objects.length === 1);
  server.beforeOpening = null;
  answer();
  await again.until((state) => state.objects.length === 2);
  await again.settled();
  again.session.undo();
  expect(again.state.objects.map((object) => object.prompts?.clicks[0]?.x)).toEqual([5]);
  again.session.undo();
  expect(again.state.objects).toEqual([]);
});
