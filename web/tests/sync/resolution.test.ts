import { expect, test } from "vitest";
import type { ChangeResult, ObjectState, Outcome } from "../../src/api/types";
import type { Waiting } from "../../src/sync/outbox";
import { judge } from "../../src/sync/resolution";
import { objectState } from "../annotation/states";

let key = 0;

function waiting(state: Partial<ObjectState> & Pick<ObjectState, "id">): Waiting {
  const id = `change-${++key}`;
  const change = { id, at: "2026-01-01T00:00:00Z", action: "click", state: objectState(state) };
  return { key, project: "p", picture: 1, change };
}

function result(entry: Waiting, outcome: Outcome, rest: Partial<ChangeResult> = {}): ChangeResult {
  return { change: entry.change.id, outcome, current: null, reason: null, ...rest };
}

test("what is stored or known is done; what has no result waits on", () => {
  const entries = [waiting({ id: "a" }), waiting({ id: "b" }), waiting({ id: "c" })];
  const [a, b] = entries as [Waiting, Waiting, Waiting];
  const verdict = judge(entries, [result(a, "stored"), result(b, "known")], 3);
  expect(verdict).toMatchObject({ done: [a, b], rewritten: [], added: [], aside: [], elsewhere: [], notices: [] });
});

test("a refused change is set aside, and what follows of its object moves up", () => {
  const entries = [1, 2, 3].map((version) => waiting({ id: "a", version }));
  const other = waiting({ id: "b", version: 7 });
  const [first, second, third] = entries as [Waiting, Waiting, Waiting];
  const results = [
    result(first, "stored"),
    result(second, "refused", { reason: "Too long." }),
    result(third, "conflict"),
  ];
  const verdict = judge([...entries, other], results, 3);
  expect(verdict.done).toEqual([first, second]);
  expect(verdict.aside).toEqual([
    { project: "p", picture: 1, change: second.change, reason: "Too long.", group: second.change.id },
  ]);
  expect(verdict.rewritten.map(({ key: k, change }) => [k, change.id, change.state.version])).toEqual([
    [third.key, third.change.id, 2],
  ]);
  expect([verdict.elsewhere, verdict.added]).toEqual([["a"], []]);
});

test("after a conflict the last mask is kept as a new object, which holds all that was done here", () => {
  const entries = [waiting({ id: "a", version: 2, counts: "one" }), waiting({ id: "a", version: 3, counts: "two" })];
  const [first, second] = entries as [Waiting, Waiting];
  const current = objectState({ id: "a", version: 2, counts: "theirs" });
  const verdict = judge(entries, [result(first, "conflict", { current })], 3);
  expect(verdict.done).toEqual([first, second]);
  expect(verdict.aside).toEqual([]);
  expect(verdict.added).toMatchObject([{ action: "keep", state: { version: 1, counts: "two", color: 1 } }]);
  expect(verdict.copies).toEqual(new Map([["a", verdict.added[0]?.state.id]]));
});

test("nothing is kept beside the same mask, nor of a mask that was deleted here", () => {
  const current = objectState({ id: "a", version: 2, counts: "one" });
  for (const state of [
    { id: "a", version: 2, counts: "one", label: "mine" },
    { id: "a", version: 2, counts: "two", status: "deleted" as const },
  ]) {
    const entry = waiting(state);
    expect(judge([entry], [result(entry, "conflict", { current })], 3)).toMatchObject({ added: [], aside: [{}] });
  }
});

test("nothing is set aside where the server has what was done here already", () => {
  const here = { id: "a", version: 2, counts: "one", label: "tree", finished: true };
  const there = objectState({ ...here, version: 5, finished: false });
  const gone = { id: "b", version: 2, status: "deleted" as const };
  for (const [state, current] of [
    [here, there],
    [gone, null],
    [gone, objectState({ ...gone, version: 3, status: "rejected" })],
  ] as const) {
    const entry = waiting(state);
    const verdict = judge([entry], [result(entry, "conflict", { current })], 3);
    expect(verdict).toMatchObject({ done: [entry], added: [], aside: [] });
  }
});

test("a mask that the server does not have, or has deleted, is kept", () => {
  for (const current of [null, objectState({ id: "a", version: 5, counts: "one", status: "deleted" })]) {
    const entry = waiting({ id: "a", version: 3, counts: "one" });
    expect(judge([entry], [result(entry, "conflict", { current })], 3).added).toMatchObject([
      { state: { counts: "one" } },
    ]);
  }
});
