import "fake-indexeddb/auto";
import { expect, test, vi } from "vitest";
import { openKeepsakes } from "../../src/sync/keepsakes";

let count = 0;

test("what is kept is there at the next visit, by project and name", async () => {
  const name = `keepsakes-${++count}`;
  const keepsakes = openKeepsakes(name);
  void keepsakes.put("p", "history 1", { past: [1] });
  void keepsakes.put("p", "history 2", "two");
  void keepsakes.put("q", "history 1", "other");
  await keepsakes.put("p", "labels", ["a"]);
  const again = openKeepsakes(name);
  expect(await again.get("p", "history 1")).toEqual({ past: [1] });
  expect((await again.list("p", "history ")).map((kept) => [kept.name, kept.content])).toEqual([
    ["history 1", { past: [1] }],
    ["history 2", "two"],
  ]);
  expect(await again.names("p", "history ")).toEqual(["history 1", "history 2"]);
  await again.put("p", "history 1", null);
  expect([await keepsakes.get("p", "history 1"), await keepsakes.get("q", "history 1")]).toEqual([null, "other"]);
});

test("where the browser keeps nothing, there is nothing, and nothing fails", async () => {
  const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("Storage is turned off.", "SecurityError");
  });
  try {
    const keepsakes = openKeepsakes(`keepsakes-${++count}`);
    await keepsakes.put("p", "labels", ["a"]);
    expect([await keepsakes.get("p", "labels"), await keepsakes.list("p", "")]).toEqual([null, []]);
  } finally {
    open.mockRestore();
  }
});
