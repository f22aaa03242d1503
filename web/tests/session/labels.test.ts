import { expect, test } from "vitest";
import { ApiError } from "../../src/api/client";
import { newBrowser, pass, type Tab } from "./browser";
import { FakeServer } from "./fakeServer";
import { opened } from "./opened";

async function draw(tab: Tab, x: number, label: string | null): Promise<string> {
  tab.session.setStickyLabel(label);
  tab.session.click({ x, y: 10 }, true);
  await tab.until((state) => state.waiting.length === 0 && !state.decoding);
  const { selected } = tab.state;
  tab.session.finish();
  return selected ?? "";
}

const CAR = new Map([["car", "auto"]]);

test("a renamed label is renamed on all objects, which can be changed and undone on at once", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  const [car, dog] = [await draw(tab, 5, "car"), await draw(tab, 20, "dog")];
  await tab.go(2);
  const elsewhere = await draw(tab, 5, "car");
  await tab.go(1);
  tab.session.setColor(car, 2);
  await tab.session.renameLabels(["auto", "dog"], CAR);
  expect(tab.state).toMatchObject({ labels: ["auto", "dog"], stickyLabel: "auto" });
  expect(tab.state.objects.map(({ id, label }) => [id, label])).toEqual([
    [car, "auto"],
    [dog, "dog"],
  ]);
  tab.session.setColor(car, 1);
  await tab.settled();
  expect([server.present(1), server.present(2)]).toMatchObject([
    [{ label: "auto", color: 1 }, {}],
    [{ label: "auto" }],
  ]);
  tab.session.undo();
  tab.session.undo();
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ label: "auto", color: 0 }, { label: "dog" }]);
  expect(tab.state.objects).toEqual(server.present(1));
  await tab.go(2);
  tab.session.setLabel(elsewhere, null);
  await tab.settled();
  tab.session.undo();
  await tab.settled();
  expect(server.present(2)).toMatchObject([{ id: elsewhere, label: "auto" }]);
  expect(tab.state.notices).toEqual([]);
});

test("a renaming waits for what is not saved, so that nothing meets it halfway", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  let store: () => void = () => undefined;
  server.beforeStoring = () => new Promise((resolve) => (store = resolve));
  const made = await draw(tab, 5, "car");
  const renaming = tab.session.renameLabels(["auto"], CAR);
  await pass(20);
  expect(server.requests).not.toContain("labels");
  server.beforeStoring = null;
  store();
  await renaming;
  await tab.settled();
  expect(server.present(1)).toMatchObject([{ id: made, label: "auto" }]);
  expect(tab.state.aside).toEqual([]);
});

test("where the server is away or refuses, nothing is renamed and the reason is told", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  await draw(tab, 5, "car");
  await tab.settled();
  server.isLost = true;
  await expect(tab.session.renameLabels(["auto"], CAR)).rejects.toThrow("cannot be reached");
  await draw(tab, 9, null);
  await tab.until((state) => state.serverLost);
  await expect(tab.session.renameLabels(["auto"], CAR)).rejects.toThrow("cannot be reached");
  server.isLost = false;
  await tab.settled();
  await tab.until((state) => !state.serverLost);
  server.api.putLabels = () => Promise.reject(new ApiError(409, "1 object has the label dog."));
  await expect(tab.session.renameLabels(["auto"], CAR)).rejects.toThrow("1 object has the label dog.");
  expect(tab.state.labels).toEqual(["car"]);
  expect(server.present(1)[0]).toMatchObject({ label: "car" });
});

test("other tabs follow a renaming", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const [left, right] = [browser.open(server), browser.open(server)];
  await left.ready();
  await right.ready();
  await draw(left, 5, "car");
  await left.settled();
  await right.until((state) => state.objects[0]?.label === "car");
  await left.session.renameLabels(["auto"], CAR);
  await right.until((state) => state.objects[0]?.label === "auto" && state.labels.includes("auto"));
  right.session.setColor(right.state.objects[0]?.id ?? "", 2);
  await right.settled();
  expect(server.present(1)).toMatchObject([{ label: "auto", color: 2 }]);
});
