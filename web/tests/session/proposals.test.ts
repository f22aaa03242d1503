import { expect, test } from "vitest";
import type { Proposal } from "../../src/api/types";
import { RunLengths } from "../../src/geometry/rle";
import { newBrowser, pass, type Tab } from "./browser";
import { FakeServer, MODEL, SIZE } from "./fakeServer";
import { openedIn } from "./opened";

function square(x: number, y: number, side: number): RunLengths {
  return RunLengths.fromWindow(new Uint8Array(side * side).fill(1), [x, y, x + side, y + side], SIZE);
}

function proposal(x: number, y: number, side: number): Proposal {
  const { counts, area } = square(x, y, side);
  return { id: crypto.randomUUID(), counts, score: 0.9, stability: 0.95, area, point: [x, y] };
}

const [large, small, other] = [proposal(0, 0, 20), proposal(5, 5, 6), proposal(30, 5, 8)];

async function opened(server: FakeServer, browser = newBrowser()): Promise<Tab> {
  server.proposals ??= [large, small, other];
  if (server.proposals.length === 0) server.proposals = [large, small, other];
  const tab = await openedIn(browser, server);
  tab.session.setTool("everything");
  await tab.until((state) => state.proposals !== null);
  return tab;
}

const ids = (tab: Tab) => tab.state.proposals?.map(({ id }) => id);

test("accepting makes an object with the proposal's id, rejecting one that is not shown", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  expect(ids(tab)).toEqual([large.id, small.id, other.id]);
  tab.session.acceptProposal(small.id);
  tab.session.rejectProposal(other.id);
  expect(ids(tab)).toEqual([large.id]);
  await tab.settled();
  expect(server.all(1)).toMatchObject([
    { id: small.id, status: "present", source: "automatic", finished: true, score: 0.9, model: MODEL, version: 1 },
    { id: other.id, status: "rejected" },
  ]);
  expect(tab.state.objects.map(({ id }) => id)).toEqual([small.id]);
  tab.session.undo();
  expect(ids(tab)).toEqual([large.id, other.id]);
  tab.session.undo();
  expect(ids(tab)).toEqual([large.id, small.id, other.id]);
  tab.session.acceptProposal(small.id);
  await tab.settled();
  expect(server.all(1)).toMatchObject([{ id: small.id, status: "present", version: 3 }, { status: "deleted" }]);
});

test("after another visit the decided ones stay away", async () => {
  const server = new FakeServer();
  const browser = newBrowser();
  const tab = await opened(server, browser);
  tab.session.rejectProposal(large.id);
  await tab.settled();
  browser.kill();
  const again = await opened(server, browser);
  expect(ids(again)).toEqual([small.id, other.id]);
});

test("accepting all is one step", async () => {
  const server = new FakeServer();
  const tab = await opened(server);
  tab.session.rejectProposal(large.id);
  tab.session.acceptAllProposals();
  expect(tab.state.objects).toMatchObject([
    { id: small.id, color: 0 },
    { id: other.id, color: 1 },
  ]);
  expect(tab.state.proposals).toEqual([]);
  tab.session.undo();
  expect(tab.state.objects).toEqual([]);
  expect(ids(tab)).toEqual([small.id, other.id]);
  tab.session.redo();
  await tab.settled();
  expect(server.present(1)).toHaveLength(2);
});

test("the smallest proposal under the pointer is the hovered one", async () => {
  const tab = await opened(new FakeServer());
  tab.session.pointAt({ x: 6, y: 6 });
  expect(tab.state.hoveredProposal).toBe(small.id);
  tab.session.pointAt({ x: 15, y: 15 });
  expect(tab.state.hoveredProposal).toBe(large.id);
  tab.session.acceptProposal(large.id);
  expect(tab.state.hoveredProposal).toBeNull();
  tab.session.pointAt({ x: 6, y: 6 });
  tab.session.setTool("segment");
  expect(tab.state.hoveredProposal).toBeNull();
});

test("a proposal that an object shows already is not offered, and is again when the object goes", async () => {
  const tab = await opened(new FakeServer());
  tab.session.setTool("box");
  tab.session.addBox([0, 0, 20, 19]);
  await tab.settled();
  expect(ids(tab)).toEqual([small.id, other.id]);
  tab.session.addBox([5, 5, 12, 12]);
  await tab.settled();
  expect(ids(tab)).toEqual([small.id, other.id]);
  tab.session.undo();
  tab.session.undo();
  expect(ids(tab)).toEqual([large.id, small.id, other.id]);
});

test("proposals are waited for, and come by themselves in a picture at which nobody works", async () => {
  const server = new FakeServer();
  server.proposals = null;
  const tab = newBrowser().open(server);
  await tab.ready();
  tab.session.setTool("everything");
  await tab.until(() => server.requests.includes("proposals 1"));
  expect(tab.state.proposals).toBeNull();
  server.proposals = [large];
  await tab.until((state) => state.proposals?.length === 1);

  tab.session.setTool("segment");
  await tab.go(2);
  expect(tab.state.proposals).toBeNull();
  await tab.until((state) => state.proposals?.length === 1);
});

test("of a picture that cannot be read nothing is asked", async () => {
  const server = new FakeServer();
  server.broken.add(1);
  const tab = newBrowser().open(server);
  tab.session.setTool("everything");
  await tab.until((state) => state.embedding === "failed");
  await pass();
  expect(server.requests).not.toContain("proposals 1");
  expect(tab.state.notices).toHaveLength(1);
});
