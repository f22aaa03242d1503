import { expect, test } from "vitest";
import { NetworkError } from "../../src/api/client";
import { newBrowser, pass } from "./browser";
import { draw } from "./drawing";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer } from "./fakeServer";
import { openedIn } from "./opened";

test("work goes on without the server, and is sent when it is back", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  server.isLost = true;
  for (const x of [5, 15, 25]) await draw(tab, x);
  await tab.until((state) => state.saving === "offline" && state.serverLost);
  expect(tab.state.unsaved).toBe(6);
  expect(server.log).toEqual([]);
  server.isLost = false;
  await tab.settled();
  expect(tab.state.serverLost).toBe(false);
  expect(server.present(1)).toEqual(tab.state.objects);
  expect(tab.state.notices).toEqual([]);
});

test("a browser that is killed while the server is away sends its changes at the next visit", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await openedIn(browser, server);
  server.isLost = true;
  const made = [await draw(tab, 5), await draw(tab, 15)];
  await tab.kept();
  browser.kill();
  server.isLost = false;
  const again = browser.open(server);
  await again.settled();
  await again.until((state) => state.objects.length === 2);
  expect(server.present(1)).toEqual(made);
  expect(again.state.objects).toEqual(made);
});

test("after a visit that ended offline, objects that the server does not have are shown at once", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await openedIn(browser, server);
  server.beforeStoring = () => Promise.reject(new NetworkError("lost"));
  const made = await draw(tab, 5);
  await tab.kept();
  browser.kill();
  const again = browser.open(server);
  await again.until((state) => state.objects.length > 0);
  expect(again.state.objects).toEqual([made]);
  await again.until((state) => state.unsaved > 0 && state.saving === "offline");
});

test("an answer that is lost makes nothing twice", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  let losses = 3;
  server.afterStoring = () => {
    if (losses-- > 0) throw new NetworkError("broke off");
  };
  await draw(tab, 5);
  await draw(tab, 15);
  await tab.settled();
  expect(losses).toBeLessThan(0);
  expect(server.log).toHaveLength(4);
  expect(server.present(1)).toEqual(tab.state.objects);
});

test("changes of several pictures are sent, each picture's in their order", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  server.isLost = true;
  await draw(tab, 5);
  server.isLost = false;
  await tab.go(2);
  server.isLost = true;
  await draw(tab, 15);
  tab.session.openPicture(1);
  await draw(tab, 25);
  server.isLost = false;
  await tab.settled();
  expect([server.present(1).length, server.present(2).length]).toEqual([2, 1]);
  const versions = new Map<string, number>();
  for (const { change } of server.log) {
    expect(change.state.version).toBe((versions.get(change.state.id) ?? 0) + 1);
    versions.set(change.state.id, change.state.version);
  }
});

test("the page warns before it goes only while changes are nowhere but in it", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  expect(tab.warns).toBe(false);
  server.isLost = true;
  const warnings: boolean[] = [];
  tab.session.state.subscribe((state, before) => {
    if (state.objects !== before.objects) warnings.push(tab.warns);
  });
  tab.session.addBox([5, 5, 20, 20]);
  await tab.until((state) => state.objects.length === 1);
  expect(warnings).toEqual([true]);
  await tab.kept();
  expect(tab.state.unsaved).toBe(1);
});

test("a change elsewhere is shown, and this page's other mask is kept beside it", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  const theirs = { ...made, version: made.version + 1, label: "theirs", finished: false };
  server.isLost = true;
  tab.session.select(made.id);
  tab.session.click({ x: 9, y: 10 }, true);
  await tab.until((state) => state.objects[0]?.version === made.version + 1 && state.saving === "offline");
  const mine = tab.state.objects[0];
  server.put(1, theirs);
  server.isLost = false;
  await tab.until((state) => state.objects.length === 2 && state.unsaved === 0);
  const copy = tab.state.objects.find((object) => object.id !== made.id);
  expect(tab.state.objects).toContainEqual(theirs);
  expect(theirs.finished).toBe(false);
  expect(copy).toMatchObject({ version: 1, counts: mine?.counts, prompts: mine?.prompts, color: 1 });
  expect(server.present(1)).toHaveLength(2);
  expect(tab.state.selected).toBe(copy?.id);
  expect(tab.state.notices[0]?.text).toContain("changed elsewhere");
  tab.session.click({ x: 13, y: 10 }, true);
  await tab.settled();
  expect(server.all(1).find((object) => object.id === copy?.id)?.version).toBe(2);
});

test("a change elsewhere that left the mask as it is here makes no second object", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.put(1, { ...made, version: made.version + 1, label: "theirs" });
  tab.session.setLabel(made.id, "mine");
  await tab.until((state) => state.objects[0]?.label === "theirs");
  expect(tab.state.objects).toHaveLength(1);
  await tab.settled();
  tab.session.setLabel(made.id, "later");
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ label: "later", version: made.version + 2 }]);
});

test("an object that somebody deleted while it was refined here is kept as another one", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.put(1, { ...made, version: made.version + 1, status: "deleted" });
  tab.session.select(made.id);
  tab.session.click({ x: 9, y: 10 }, true);
  await tab.until((state) => state.objects.length === 1 && state.objects[0]?.id !== made.id && state.unsaved === 0);
  expect(server.present(1)).toMatchObject([{ prompts: { clicks: [{ x: 5 }, { x: 9 }] } }]);
  expect(tab.state.selected).toBe(server.present(1)[0]?.id);
});

test("undo does not reach over a change made elsewhere", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const [first, second] = [await draw(tab, 5), await draw(tab, 25)];
  await tab.settled();
  server.put(1, { ...first, version: first.version + 1, label: "theirs" });
  tab.session.reload();
  await tab.until((state) => state.objects[0]?.label === "theirs");
  tab.session.undo();
  expect(tab.state.objects.map((object) => object.id)).toEqual([first.id]);
  expect(tab.state.canUndo).toBe(false);
  await tab.settled();
  expect(server.present(1).map((object) => object.id)).not.toContain(second.id);
});

test("a change that is refused is taken back, and kept aside; what follows it is saved", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.refuse = ({ state }) => (state.label === "bad" ? "The label is not allowed." : null);
  server.isLost = true;
  tab.session.setLabel(made.id, "bad");
  tab.session.setColor(made.id, 2);
  tab.session.setLabel(made.id, "good");
  await tab.until((state) => state.saving === "offline");
  server.isLost = false;
  await tab.settled();
  await tab.until((state) => state.objects[0]?.version === made.version + 1);
  expect(server.present(1)).toMatchObject([{ label: "good", color: 2, version: made.version + 1 }]);
  expect(tab.state.objects).toEqual(server.present(1));
  expect(tab.state.notices[0]?.text).toContain("The label is not allowed.");
  tab.session.setLabel(made.id, null);
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ label: null, version: made.version + 2 }]);
});

test("another project at the same address gets nothing, and the changes stay", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await openedIn(browser, server);
  server.project = "project-2";
  await draw(tab, 5);
  await tab.until((state) => state.saving === "failed");
  await tab.until((state) => state.notices.some(({ text }) => text.includes("Reload the page")));
  browser.kill();
  const other = browser.open(server);
  await other.ready();
  expect([other.state.unsaved, other.state.objects, server.log]).toEqual([0, [], []]);
  browser.kill();
  server.project = "project-1";
  const again = browser.open(server);
  await again.until((state) => state.objects.length === 1 && state.unsaved === 0);
  expect(server.present(1)).toHaveLength(1);
});

test("two tabs send each change once, and see each other's", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const [left, right] = [await openedIn(browser, server), await openedIn(browser, server)];
  server.isLost = true;
  const a = await draw(left, 5);
  const b = await draw(right, 25);
  await pass();
  server.isLost = false;
  await left.settled();
  await right.settled();
  await left.until((state) => state.objects.length === 2);
  await right.until((state) => state.objects.length === 2);
  expect(server.log.map(({ change }) => change.id)).toHaveLength(
    new Set(server.log.map(({ change }) => change.id)).size,
  );
  expect(new Set(server.present(1).map((object) => object.id))).toEqual(new Set([a.id, b.id]));
  expect(left.state.objects).toEqual(right.state.objects);
});

test("two tabs that change one object lose neither mask", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const left = await openedIn(browser, server);
  const made = await draw(left, 5);
  await left.settled();
  const right = await openedIn(browser, server);
  await right.until((state) => state.objects.length === 1);
  server.isLost = true;
  for (const [tab, x] of [
    [left, 9],
    [right, 30],
  ] as const) {
    tab.session.select(made.id);
    tab.session.click({ x, y: 10 }, true);
    await tab.until((state) => state.objects[0]?.version === made.version + 1);
  }
  const masks = [left.state.objects[0]?.counts, right.state.objects[0]?.counts];
  server.isLost = false;
  await left.until((state) => state.objects.length === 2 && state.unsaved === 0);
  await right.until((state) => state.objects.length === 2 && state.unsaved === 0);
  expect(new Set(server.present(1).map((object) => object.counts))).toEqual(new Set(masks));
});

test("where the browser keeps nothing, changes are sent from memory", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const open = indexedDB.open.bind(indexedDB);
  indexedDB.open = () => {
    throw new DOMException("Storage is turned off.", "SecurityError");
  };
  try {
    const tab = browser.open(server, new FakeDecoder());
    await tab.ready();
    server.isLost = true;
    const made = [await draw(tab, 5), await draw(tab, 15)];
    await tab.until((state) => state.saving === "offline" && state.unsaved === 4);
    expect(tab.warns).toBe(true);
    server.isLost = false;
    await tab.settled();
    expect(server.present(1)).toEqual(made);
  } finally {
    indexedDB.open = open;
  }
});

test("what the server is sent while the objects are read again does not go back", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  let let_answer: () => void = () => undefined;
  server.beforeOpening = () => new Promise((resolve) => (let_answer = resolve));
  tab.session.reload();
  await tab.until(() => server.openRequests.has("open 1"));
  tab.session.setLabel(made.id, "tree");
  await tab.settled();
  server.beforeOpening = null;
  let_answer();
  await pass(20);
  expect(tab.state.objects).toMatchObject([{ label: "tree", version: made.version + 1 }]);
  expect(tab.state.canUndo).toBe(true);
});
