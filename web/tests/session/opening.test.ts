import { expect, test } from "vitest";
import { ApiError } from "../../src/api/client";
import { newBrowser, pass } from "./browser";
import { FakeDecoder } from "./fakeDecoder";
import { FakeServer } from "./fakeServer";
import { opened } from "./opened";

test("clicks before the embedding is there are kept, and answered when it is", async () => {
  const server = new FakeServer();
  server.encoded = new Set();
  const tab = newBrowser().open(server);
  await tab.until((state) => state.embedding === "waiting");
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.click({ x: 14, y: 10 }, true);
  tab.session.finish();
  tab.session.addBox([20, 10, 30, 20]);
  await pass();
  expect(tab.state.waiting).toMatchObject([{ click: { x: 10 } }, { click: { x: 14 } }, { box: [20, 10, 30, 20] }]);
  expect(tab.state.decoding).toBe(false);
  server.encoded.add(1);
  await tab.settled();
  expect(server.present(1)).toMatchObject([
    { finished: true, prompts: { clicks: [{}, {}] } },
    { prompts: { box: [20, 10, 30, 20] } },
  ]);
  tab.session.undo();
  tab.session.undo();
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(1);
});

test("clicks that wait in a picture that was left are answered there", async () => {
  const server = new FakeServer();
  server.encoded = new Set();
  const tab = newBrowser().open(server);
  await tab.until((state) => state.embedding === "waiting");
  tab.session.click({ x: 10, y: 10 }, true);
  tab.session.nextPicture();
  expect(tab.state).toMatchObject({ picture: { id: 2 }, waiting: [], selected: null });
  tab.session.click({ x: 20, y: 10 }, true);
  server.encoded = null;
  await tab.settled();
  await tab.until(() => server.present(1).length === 1);
  expect(server.present(1)).toMatchObject([{ finished: true, prompts: { clicks: [{ x: 10 }] } }]);
  expect(tab.state.objects).toMatchObject([{ finished: false, prompts: { clicks: [{ x: 20 }] } }]);
  tab.session.previousPicture();
  expect(tab.state.objects).toHaveLength(1);
  expect(tab.state.canUndo).toBe(true);
});

test("a picture that cannot be encoded gives its waiting clicks up, and says why", async () => {
  const server = new FakeServer();
  server.broken.add(1);
  const tab = newBrowser().open(server);
  await tab.until((state) => state.embedding === "failed");
  expect(tab.state.notices).toMatchObject([{ kind: "error", text: "photo-1.jpg: The file is damaged." }]);
  tab.session.click({ x: 10, y: 10 }, true);
  expect([tab.state.selected, tab.state.notices.length]).toEqual([null, 2]);
  await pass();
  expect(server.requests.filter((request) => request.startsWith("embedding 1"))).toHaveLength(1);
  server.broken.clear();
  await tab.go(2);
  await tab.go(1);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  expect(tab.state.objects).toHaveLength(1);
});

test("histories are kept while other pictures are open", async () => {
  const server = new FakeServer();
  const tab = newBrowser().open(server);
  await tab.ready();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  await tab.go(2);
  expect(tab.state.canUndo).toBe(false);
  tab.session.undo();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  await tab.go(1);
  await pass();
  tab.session.undo();
  expect(tab.state.objects).toEqual([]);
  await tab.settled();
  expect([server.present(1).length, server.present(2).length]).toEqual([0, 1]);
});

test("leaving a picture finishes the selected object", async () => {
  const server = new FakeServer();
  const tab = newBrowser().open(server);
  await tab.ready();
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  tab.session.nextPicture();
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ finished: true, version: 2 }]);
});

test("a new visit opens the last picture, with the object that was selected, and its readings", async () => {
  const server = new FakeServer(2500);
  const browser = newBrowser();
  const session = { session: null as Storage | null, local: browser.local };
  const tab = browser.open(server, new FakeDecoder(), { storages: { ...session, session: browser.local } });
  await tab.until((state) => state.pictures.length === 2500);
  await tab.go(2001);
  tab.session.click({ x: 10, y: 10 }, true);
  await tab.settled();
  const { selected } = tab.state;
  browser.kill();
  const again = browser.open(server, new FakeDecoder(), { storages: { ...session, session: browser.local } });
  await again.until((state) => state.picture?.id === 2001 && state.objects.length === 1);
  await again.until((state) => state.readings !== null);
  expect(again.state.selected).toBe(selected);
  expect(again.state.readings?.chosen).toBe(1);
  again.session.click({ x: 14, y: 10 }, true);
  await again.settled();
  expect(server.present(2001)).toMatchObject([{ prompts: { clicks: [{ x: 10 }, { x: 14 }] } }]);
  await again.until((state) => state.pictures.length === 2500);
  expect(again.state.pictures[2000]?.objects).toBe(1);
});

test("the address may ask for a picture, once", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const storages = { session: browser.local, local: browser.local };
  const address = new URL("http://127.0.0.1:8765/?picture=3");
  const tab = browser.open(server, new FakeDecoder(), { address, storages });
  await tab.until((state) => state.picture?.id === 3);
  await tab.go(2);
  browser.kill();
  const again = browser.open(server, new FakeDecoder(), { address, storages });
  await again.until((state) => state.picture?.id === 2);
  browser.kill();
  const gone = browser.open(server, new FakeDecoder(), {
    address: new URL("http://127.0.0.1:8765/?picture=99"),
    storages,
  });
  await gone.until((state) => state.picture?.id === 1);
});

test("the next two pictures and the last one are fetched ahead, over two connections", async () => {
  const server = new FakeServer(9);
  server.encoded = new Set([1, 4]);
  const tab = newBrowser().open(server);
  await tab.until((state) => state.pictures.length === 9);
  await tab.go(4);
  await pass();
  expect([...server.openRequests].filter((request) => request.startsWith("embedding"))).toEqual(["embedding 5 next"]);
  expect(server.requests.filter((request) => request.startsWith("image"))).toEqual(
    expect.arrayContaining(["image 5", "image 6", "image 3"]),
  );
  server.encoded.add(5);
  await tab.until(() => server.openRequests.has("embedding 6 next"));
  await tab.until(() => tab.decoder.hasPicture(5));
  tab.session.openPicture(8);
  await tab.until(() => server.openRequests.has("embedding 8 current"));
  await tab.until(() => server.openRequests.has("embedding 9 next"));
  await tab.until(() => !server.openRequests.has("embedding 6 next"));
});

test("the decoder is loaded when the server has prepared it, and again when another model is served", async () => {
  const server = new FakeServer();
  const ready = server.decoder;
  server.decoder = { state: "preparing", files: null, reason: null };
  const tab = newBrowser().open(server);
  await tab.until((state) => state.server !== null && state.picture !== null);
  tab.session.click({ x: 10, y: 10 }, true);
  await pass();
  expect(tab.state).toMatchObject({ decoder: "preparing", backend: null, waiting: [{}] });
  server.decoder = ready;
  await tab.settled();
  expect(tab.state).toMatchObject({ decoder: "ready", backend: "wasm", embedding: "ready" });
  expect(tab.state.objects).toHaveLength(1);
  server.decoder = { ...ready, files: { image: "b.onnx", click: "b.onnx", refine: "b.onnx" } };
  await tab.until(() => tab.decoder.loads === 2);
  await tab.ready();
  tab.session.click({ x: 14, y: 10 }, true);
  await tab.settled();
  expect(tab.state.objects[0]?.prompts?.clicks).toHaveLength(2);
});

test("a decoder that cannot be prepared is said to be so, and clicks are refused", async () => {
  const server = new FakeServer();
  server.decoder = { state: "failed", files: null, reason: "onnx is not installed." };
  const tab = newBrowser().open(server);
  await tab.until((state) => state.decoder === "failed" && state.picture !== null);
  expect(tab.state.notices).toMatchObject([{ text: "The decoder could not be prepared: onnx is not installed." }]);
  tab.session.click({ x: 10, y: 10 }, true);
  expect(tab.state.selected).toBeNull();
  expect(tab.state.notices).toHaveLength(2);
});

test("a page opened before its server comes up when that does", async () => {
  const server = new FakeServer();
  server.isLost = true;
  const tab = newBrowser().open(server);
  await tab.until((state) => state.serverLost);
  server.isLost = false;
  await tab.ready();
  expect(tab.state).toMatchObject({ serverLost: false, picture: { id: 1 } });
});

test("the list counts objects as they come and go", async () => {
  const server = new FakeServer();
  const tab = newBrowser().open(server);
  await tab.ready();
  tab.session.addBox([5, 5, 15, 15]);
  await tab.settled();
  expect(tab.state.pictures.map((picture) => picture.objects)).toEqual([1, 0, 0]);
  expect(tab.state.picture?.objects).toBe(1);
  tab.session.undo();
  expect(tab.state.pictures[0]?.objects).toBe(0);
});

test("labels are kept in the order that was given, also while the server is away", async () => {
  const server = new FakeServer();
  server.labels = ["tree", "car"];
  const tab = newBrowser().open(server);
  await tab.ready();
  expect(tab.state.labels).toEqual(["tree", "car"]);
  server.isLost = true;
  tab.session.setLabels(["car", " tree ", "tree", "", "sky"]);
  expect(tab.state.labels).toEqual(["car", "tree", "sky"]);
  await tab.until((state) => state.serverLost);
  server.isLost = false;
  await tab.until(() => server.labels.length === 3);
  expect(server.labels).toEqual(["car", "tree", "sky"]);
});

test("a slow or lost server does not keep clicks from being answered in the next picture", async () => {
  const server = new FakeServer();
  const first = newBrowser().open(server);
  await first.go(2);
  first.session.addBox([2, 2, 10, 10]);
  await first.settled();
  const tab = newBrowser().open(server);
  await tab.go(1);
  await tab.until(() => tab.decoder.hasPicture(2) && tab.state.pictures[1]?.objects === 1);
  server.isLost = true;
  tab.session.nextPicture();
  tab.session.addBox([20, 10, 30, 20]);
  await tab.until((state) => state.objects.length === 1);
  expect(tab.state.objects[0]).toMatchObject({ order: 2, color: 1 });
  expect(tab.state.picture?.objects).toBe(2);
  server.isLost = false;
  await tab.until((state) => state.objects.length === 2);
  await tab.settled();
  expect(server.present(2)).toEqual(tab.state.objects);
  tab.session.undo();
  expect(tab.state.objects).toMatchObject([{ order: 1 }]);
});

test("clicks in a picture that turns out to be unreadable are given up", async () => {
  const server = new FakeServer();
  const [picture] = server.pictures;
  if (picture) Object.assign(picture, { width: null, height: null, error: "photo-1.jpg is not an image." });
  server.encoded = new Set();
  let letAnswer: () => void = () => undefined;
  server.beforeOpening = () => new Promise((resolve) => (letAnswer = resolve));
  server.listedAs = { error: null };
  const tab = newBrowser().open(server);
  await tab.until((state) => state.picture !== null);
  tab.session.click({ x: 10, y: 10 }, true);
  expect(tab.state.waiting).toHaveLength(1);
  await tab.until(() => server.openRequests.has("open 1"));
  letAnswer();
  await tab.until((state) => state.picture?.error !== null);
  expect(tab.state).toMatchObject({ waiting: [], selected: null, embedding: "none" });
});

test("a list of objects that is on its way, here or not to be had is told apart", async () => {
  const server = new FakeServer();
  let answer: () => void = () => undefined;
  server.beforeOpening = () => new Promise((resolve) => (answer = resolve));
  const tab = newBrowser().open(server);
  await tab.until((state) => state.picture !== null && server.openRequests.has("open 1"));
  expect(tab.state.objectsState).toBe("loading");
  answer();
  await tab.until((state) => state.objectsState === "loaded");
  server.beforeOpening = () => {
    throw new ApiError(500, "The disk is broken.");
  };
  tab.session.nextPicture();
  expect(tab.state.objectsState).toBe("loading");
  await tab.until((state) => state.objectsState === "failed");
  server.beforeOpening = null;
  tab.session.previousPicture();
  expect(tab.state.objectsState).toBe("loaded");
  tab.session.nextPicture();
  expect(tab.state.objectsState).toBe("loading");
  await tab.until((state) => state.objectsState === "loaded");
});

test("an object is marked as long as it is pointed at, on the stage or in the list, and is there", async () => {
  const tab = await opened();
  for (const x of [5, 25]) {
    tab.session.click({ x, y: 10 }, true);
    await tab.settled();
    tab.session.finish();
  }
  const [first = "", second = ""] = tab.state.objects.map(({ id }) => id);
  tab.session.mark(first, "stage");
  expect(tab.state.marked).toBe(first);
  // The pointer comes to the row before it is said to have left the stage.
  tab.session.mark(first, "list");
  tab.session.unmark(first, "stage");
  tab.session.setColor(first, 2);
  expect(tab.state.marked).toBe(first);
  tab.session.mark(second, "list");
  tab.session.unmark(first, "list");
  expect(tab.state.marked).toBe(second);
  tab.session.remove(second);
  expect(tab.state.marked).toBeNull();
  tab.session.mark(first, "stage");
  expect(tab.state.marked).toBe(first);
  tab.session.unmark(first, "stage");
  expect(tab.state.marked).toBeNull();
});
