import { expect, test } from "vitest";
import { newBrowser, pass } from "./browser";
import { draw } from "./drawing";
import { FakeServer } from "./fakeServer";
import { openedIn } from "./opened";

test("what was refused stays listed over a reload, and is saved when it is tried again", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await openedIn(browser, server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.refuse = ({ state }) => (state.label === "bad" ? "The label is not allowed." : null);
  tab.session.setLabel(made.id, "bad");
  await tab.until((state) => state.aside.length === 1);
  expect(tab.state.objects).toMatchObject([{ label: null }]);
  browser.kill();
  const again = await openedIn(browser, server);
  await again.go(2);
  const [one] = (await again.until((state) => state.aside.length === 1)).aside;
  expect(one).toMatchObject({ picture: 1, state: { id: made.id, label: "bad" }, reason: "The label is not allowed." });
  again.session.retryAside(one?.id ?? "");
  await again.until((state) => state.aside[0]?.id !== undefined && state.aside[0].id !== one?.id);
  await again.settled();
  expect(again.state.aside).toHaveLength(1);
  server.refuse = () => null;
  again.session.retryAside(again.state.aside[0]?.id ?? "");
  await again.until((state) => state.aside.length === 0);
  await again.settled();
  expect(server.present(1)).toMatchObject([{ id: made.id, label: "bad", counts: made.counts }]);
  again.session.openPicture(1);
  await again.until((state) => state.objects.length === 1);
  again.session.undo();
  await again.settled();
  expect(server.present(1)).toMatchObject([{ id: made.id, label: null }]);
});

test("what was refused can be kept as a new object, or discarded for good", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await openedIn(browser, server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.refuse = ({ state }) => (state.id === made.id ? "This object is closed." : null);
  tab.session.setLabel(made.id, "one");
  await tab.until((state) => state.aside.length === 1 && state.unsaved === 0);
  tab.session.keepAside(tab.state.aside[0]?.id ?? "");
  await tab.until((state) => state.aside.length === 0);
  await tab.settled();
  expect(server.present(1)).toMatchObject([
    { id: made.id, label: null },
    { label: "one", counts: made.counts, version: 1 },
  ]);
  tab.session.setLabel(made.id, "two");
  await tab.until((state) => state.aside.length === 1);
  tab.session.discardAside(tab.state.aside[0]?.id ?? "");
  await tab.until((state) => state.aside.length === 0);
  browser.kill();
  const again = await openedIn(browser, server);
  await pass();
  expect(again.state.aside).toEqual([]);
});

test("changes of one object that were refused together are one matter, and each tab lists it", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const [left, right] = [await openedIn(browser, server), await openedIn(browser, server)];
  server.refuse = () => "The disk is full of masks.";
  server.isLost = true;
  const made = await draw(left, 5);
  await pass(20);
  server.isLost = false;
  for (const tab of [left, right]) {
    const { aside } = await tab.until((state) => state.aside[0]?.changes.length === 2);
    expect(aside).toMatchObject([{ state: { id: made.id, finished: true } }]);
  }
});

test("what is done to an object between its refusal and the page's knowing of it is one matter with that", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.refuse = ({ state }) => (state.id === made.id ? "This object is closed." : null);
  let goOn: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  server.beforeOpening = () => held;
  tab.session.select(made.id);
  tab.session.setLabel(made.id, "first");
  await tab.until((state) => state.aside.length === 1);
  tab.session.setLabel(made.id, "second");
  await tab.until((state) => state.aside[0]?.changes.length === 2);
  expect(tab.state.aside).toMatchObject([{ state: { label: "second", version: made.version + 1 } }]);
  tab.session.setLabel(made.id, "third");
  await tab.until((state) => state.aside[0]?.changes.length === 3);
  expect(tab.state.aside).toMatchObject([{ state: { label: "third", version: made.version + 1 } }]);
  goOn();
  await tab.until((state) => state.objects[0]?.label === null);
  tab.session.setLabel(made.id, "fourth");
  await tab.until((state) => state.aside.length === 2 && state.unsaved === 0);
  expect(tab.state.aside.map(({ changes }) => changes.length)).toEqual([3, 1]);
  server.refuse = () => null;
  tab.session.retryAside(tab.state.aside[1]?.id ?? "");
  await tab.until((state) => state.aside.length === 1 && state.unsaved === 0);
  expect(server.present(1)).toMatchObject([{ id: made.id, label: "fourth", version: made.version + 1 }]);
});

test("a deletion that met a change elsewhere is set aside, and done when it is tried again", async () => {
  const server = new FakeServer();
  const tab = await openedIn(newBrowser(), server);
  const made = await draw(tab, 5);
  await tab.settled();
  server.put(1, { ...made, version: made.version + 1, label: "theirs" });
  tab.session.remove(made.id);
  await tab.until((state) => state.aside.length === 1 && state.objects[0]?.label === "theirs");
  tab.session.retryAside(tab.state.aside[0]?.id ?? "");
  await tab.until((state) => state.aside.length === 0);
  await tab.settled();
  expect([tab.state.objects, server.present(1)]).toEqual([[], []]);
});
