import "fake-indexeddb/auto";
import { openDB } from "idb";
import { expect, test, vi } from "vitest";
import type { Change } from "../../src/api/types";
import { openOutbox, type Resolution } from "../../src/sync/outbox";
import { objectState } from "../annotation/states";

let count = 0;

function change(): Change {
  const id = `change-${++count}`;
  return { id, at: "2026-01-01T00:00:00Z", action: "click", state: objectState({ id }) };
}

const NOTHING: Resolution = { done: [], rewritten: [], added: [], aside: [] };

test("changes come back in their order, by project and picture, from another page too", async () => {
  const name = `outbox-${++count}`;
  const outbox = openOutbox(name);
  const [a, b, c, d, e] = [change(), change(), change(), change(), change()];
  void outbox.add("p", 2, [a]);
  void outbox.add("p", 1, [b, c]);
  void outbox.add("q", 2, [d]);
  await outbox.add("p", 2, [e]);
  for (const reader of [outbox, openOutbox(name)]) {
    expect((await reader.head("p", 10)).map(({ change: { id } }) => id)).toEqual([a.id, e.id]);
    expect((await reader.head("p", 1)).map(({ change: { id } }) => id)).toEqual([a.id]);
    expect((await reader.of("p", 1)).map((waiting) => waiting.change)).toEqual([b, c]);
    expect(await Promise.all([reader.count("p"), reader.count("q"), reader.count("r")])).toEqual([4, 1, 0]);
    expect(await reader.head("r", 10)).toEqual([]);
  }
});

test("a resolution takes away, rewrites in place, adds at the end and sets aside", async () => {
  const name = `outbox-${++count}`;
  const outbox = openOutbox(name);
  const [a, b, c] = [change(), change(), change()];
  await outbox.add("p", 1, [a, b]);
  const [first, second] = await outbox.of("p", 1);
  if (!first || !second) throw new Error("The changes are gone.");
  const refused = { project: "p", picture: 1, change: a, reason: "No." };
  const rewritten = { ...second, change: { ...b, action: "other" } };
  await outbox.resolve("p", 1, (waiting) => {
    expect(waiting).toEqual([first, second]);
    return { done: [first], rewritten: [rewritten], added: [c], aside: [refused] };
  });
  expect((await outbox.of("p", 1)).map((waiting) => waiting.change)).toEqual([rewritten.change, c]);
  const [aside] = await outbox.setAside("p");
  expect(aside).toEqual({ ...refused, key: 1 });
  expect(await outbox.setAside("q")).toEqual([]);
  await outbox.discard([2]);
  expect(await openOutbox(name).setAside("p")).toEqual([aside]);
  await outbox.discard([1]);
  expect(await openOutbox(name).setAside("p")).toEqual([]);
});

test("a resolution that fails changes nothing", async () => {
  const outbox = openOutbox(`outbox-${++count}`);
  await outbox.add("p", 1, [change()]);
  const failing = outbox.resolve("p", 1, () => {
    throw new Error("broken");
  });
  await expect(failing).rejects.toThrow("broken");
  expect(await outbox.count("p")).toBe(1);
});

test("a change is at risk until it is written", async () => {
  const outbox = openOutbox(`outbox-${++count}`);
  const written = outbox.add("p", 1, [change(), change()]);
  expect(outbox.atRisk).toBe(2);
  await written;
  expect(outbox.atRisk).toBe(0);
});

test("what an older page has kept is there", async () => {
  const name = `outbox-${++count}`;
  const old = await openDB(name, 1, {
    upgrade(database) {
      const changes = database.createObjectStore("changes", { keyPath: "key", autoIncrement: true });
      changes.createIndex("project", "project");
      changes.createIndex("picture", ["project", "picture"]);
      database.createObjectStore("aside", { autoIncrement: true }).createIndex("project", "project");
    },
  });
  const made = change();
  await old.add("changes", { project: "p", picture: 1, change: made });
  old.close();
  expect((await openOutbox(name).of("p", 1)).map((waiting) => waiting.change)).toEqual([made]);
});

test("a database that is closed by the browser is opened again", async () => {
  const outbox = openOutbox(`outbox-${++count}`);
  await outbox.add("p", 1, [change()]);
  outbox.close();
  await outbox.add("p", 1, [change()]);
  expect([await outbox.count("p"), outbox.atRisk]).toEqual([2, 0]);
});

test("where nothing can be stored, changes wait in memory and can be resolved there", async () => {
  const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("Storage is turned off.", "SecurityError");
  });
  try {
    const outbox = openOutbox(`outbox-${++count}`);
    const [a, b, c] = [change(), change(), change()];
    await outbox.add("p", 1, [a, b]);
    expect(outbox.atRisk).toBe(2);
    const [first] = await outbox.head("p", 1);
    if (!first) throw new Error("The change is gone.");
    const refused = { project: "p", picture: 1, change: a, reason: "No." };
    await outbox.resolve("p", 1, () => ({ ...NOTHING, done: [first], added: [c], aside: [refused] }));
    expect((await outbox.of("p", 1)).map((waiting) => waiting.change)).toEqual([b, c]);
    const [aside] = await outbox.setAside("p");
    expect(aside).toMatchObject(refused);
    expect([await outbox.count("p"), outbox.atRisk]).toEqual([2, 3]);
    await outbox.discard([aside?.key ?? 0]);
    expect([await outbox.setAside("p"), outbox.atRisk]).toEqual([[], 2]);
  } finally {
    open.mockRestore();
  }
});

test("what is made while nothing can be stored is not overtaken by what can", async () => {
  const outbox = openOutbox(`outbox-${++count}`);
  const [a, b, c] = [change(), change(), change()];
  await outbox.add("p", 1, [a]);
  const transaction = vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementationOnce(() => {
    throw new DOMException("The disk is full.", "QuotaExceededError");
  });
  await outbox.add("p", 1, [b]);
  transaction.mockRestore();
  await outbox.add("p", 1, [c]);
  expect((await outbox.of("p", 1)).map((waiting) => waiting.change)).toEqual([a, b, c]);
  expect(outbox.atRisk).toBe(2);
});
