import { expect, test } from "vitest";
import { ApiError } from "../../src/api/client";
import { newBrowser, pass, type FakeBrowser, type Tab } from "./browser";
import { FakeServer } from "./fakeServer";

function slowServer(): FakeServer {
  const server = new FakeServer();
  server.encoded = new Set();
  return server;
}

/** A tab in which a click waits for the first picture's embedding, and is kept. */
async function tabWithWaitingClick(server: FakeServer, browser: FakeBrowser): Promise<Tab> {
  const tab = browser.open(server);
  await tab.until((state) => state.embedding === "waiting");
  tab.session.click({ x: 10, y: 10 }, true);
  await pass();
  return tab;
}

test("clicks that wait for an embedding are given again after a reload, in every picture, each once", async () => {
  const server = slowServer();
  const browser = newBrowser();
  const tab = browser.open(server);
  await tab.until((state) => state.embedding === "waiting");
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.setLabel(tab.state.selected ?? "", "tree");
  tab.session.finish();
  tab.session.nextPicture();
  await tab.until((state) => state.picture?.id === 2 && state.objectsState === "loaded");
  tab.session.addBox([5, 5, 20, 20]);
  tab.session.click({ x: 12, y: 12 }, false);
  const object = tab.state.selected;
  await pass();
  browser.kill();
  expect([server.log, tab.state.waiting.length]).toEqual([[], 2]);

  const again = browser.open(server);
  await again.until((state) => state.picture?.id === 2 && state.waiting.length === 2);
  expect(again.state.waiting.map((waiting) => waiting.object)).toEqual([object, object]);
  browser.kill();
  const third = browser.open(server);
  await third.until((state) => state.waiting.length === 2);
  server.encoded = new Set([1, 2]);
  await third.until((state) => state.objects.length === 1 && state.waiting.length === 0);
  await third.settled();
  await third.go(1);
  await third.until((state) => state.objects.length === 1);
  await third.settled();
  expect(server.present(2)).toMatchObject([
    { id: object, finished: false, prompts: { clicks: [{ positive: false }] } },
  ]);
  expect(server.present(1)).toMatchObject([{ label: "tree", finished: true, prompts: { clicks: [{ x: 10, y: 10 }] } }]);
  await pass();
  browser.kill();
  const last = browser.open(server);
  await last.ready();
  await pass();
  expect([last.state.waiting, server.all(1).length, server.all(2).length]).toEqual([[], 1, 1]);
});

test("waiting clicks are given up where the picture can take none, and that is said once", async () => {
  const server = slowServer();
  const browser = newBrowser();
  await tabWithWaitingClick(server, browser);
  browser.kill();
  const [picture] = server.pictures;
  if (!picture) throw new Error("There is no picture.");
  picture.error = "The file is damaged.";
  const again = browser.open(server);
  await again.until((state) => state.notices.some(({ text }) => text.includes("given up: The file is damaged.")));
  await pass();
  browser.kill();
  picture.error = null;
  const third = browser.open(server);
  await third.until((state) => state.embedding === "waiting" && state.objectsState === "loaded");
  await pass();
  expect([third.state.waiting, third.state.notices]).toEqual([[], []]);
});

test("waiting clicks whose picture cannot be read are kept for the next visit", async () => {
  const server = slowServer();
  const browser = newBrowser();
  await tabWithWaitingClick(server, browser);
  browser.kill();
  server.beforeOpening = () => {
    throw new ApiError(500, "The disk is broken.");
  };
  const again = browser.open(server);
  await again.until((state) => state.notices.some(({ text }) => text.includes("The disk is broken.")));
  await pass();
  browser.kill();
  server.beforeOpening = null;
  await browser.open(server).until((state) => state.waiting.length === 1);
});

test("clicks of a tab that lives are its own, and another tab takes them over when it is gone", async () => {
  const server = slowServer();
  const browser = newBrowser();
  const left = await tabWithWaitingClick(server, browser);
  const right = browser.open(server);
  await right.until((state) => state.embedding === "waiting" && state.objectsState === "loaded");
  await pass();
  expect(right.state.waiting).toEqual([]);
  left.session.close();
  await right.until((state) => state.waiting.length === 1);
  server.encoded = new Set([1]);
  await right.until((state) => state.objects.length === 1);
  await right.settled();
  expect(server.all(1)).toHaveLength(1);
});

test("clicks that were answered and saved are not given again, though they are still kept", async () => {
  const browser = newBrowser();
  // Without locks, both pages have the clicks: the one that cannot answer them goes on keeping them.
  const waiting = browser.open(slowServer(), undefined, { locks: null });
  await waiting.until((state) => state.embedding === "waiting");
  waiting.session.click({ x: 10, y: 10 }, true);
  waiting.session.click({ x: 14, y: 10 }, true);
  const object = waiting.state.selected ?? "";
  await pass();
  const server = new FakeServer();
  for (let visit = 1; visit <= 2; visit++) {
    const tab = browser.open(server, undefined, { locks: null });
    await tab.ready();
    await tab.until((state) => state.objects[0]?.prompts?.clicks.length === 2);
    await pass();
    await tab.settled();
    expect(server.all(1)).toMatchObject([{ id: object, version: 2 }]);
    tab.session.close();
    waiting.session.setLabel(object, `visit ${String(visit)}`);
    await pass();
  }
  expect(server.log).toHaveLength(2);
});

test("an order of labels that was made offline is sent at the next visit, with labels that came in meanwhile", async () => {
  const server = new FakeServer();
  server.labels = ["cat", "dog"];
  const browser = newBrowser();
  const tab = browser.open(server);
  await tab.ready();
  server.isLost = true;
  tab.session.setLabels(["dog", "bird", "cat"]);
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.setLabel(tab.state.selected ?? "", "fish");
  await tab.until((state) => state.objects.length === 1);
  await tab.kept();
  await pass();
  browser.kill();
  server.isLost = false;
  server.labels = ["cat", "dog", "horse"];
  const again = browser.open(server);
  await again.until((state) => state.labels[0] === "dog");
  await again.settled();
  await pass();
  expect(server.labels).toEqual(["dog", "bird", "cat", "fish", "horse"]);
  expect(again.state.labels).toEqual(server.labels);
  server.labels = ["cat"];
  browser.kill();
  const third = browser.open(server);
  await third.ready();
  await pass();
  expect(server.labels).toEqual(["cat"]);
});
