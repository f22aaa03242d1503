import { expect, test } from "vitest";
import { Overlaps } from "../../src/annotation/overlaps";
import type { Proposal } from "../../src/api/types";
import { RunLengths } from "../../src/geometry/rle";
import { objectState } from "./states";

const SIZE = { width: 20, height: 10 };

function columns(from: number, to: number): RunLengths {
  return RunLengths.fromWindow(new Uint8Array((to - from) * 10).fill(1), [from, 0, to, 10], SIZE);
}

function proposal(id: string, mask: RunLengths): Proposal {
  return { id, counts: mask.counts, area: mask.area, score: 1, stability: 1, point: [0, 0] };
}

const proposals = [proposal("left", columns(0, 10)), proposal("right", columns(10, 20))];

function open(...objects: Parameters<Overlaps["open"]>[0]): string[] {
  const overlaps = new Overlaps(proposals, ({ counts }) => RunLengths.fromCounts(counts, SIZE));
  return overlaps.open(objects).map(({ id }) => id);
}

test("a proposal is hidden by a present object that overlaps it by more than 0.8", () => {
  expect(open()).toEqual(["left", "right"]);
  expect(open(objectState({ id: "a", counts: columns(0, 9).counts }))).toEqual(["right"]);
  expect(open(objectState({ id: "a", counts: columns(0, 8).counts }))).toEqual(["left", "right"]);
  expect(open(objectState({ id: "a", counts: columns(0, 12).counts }))).toEqual(["right"]);
  expect(open(objectState({ id: "a", counts: columns(0, 13).counts }))).toEqual(["left", "right"]);
  expect(open(objectState({ id: "a", counts: columns(0, 10).counts, status: "deleted" }))).toEqual(["left", "right"]);
});

test("a proposal that was decided is hidden, until it is taken back", () => {
  expect(open(objectState({ id: "left", counts: columns(3, 4).counts, status: "rejected" }))).toEqual(["right"]);
  expect(open(objectState({ id: "left", counts: columns(3, 4).counts }))).toEqual(["right"]);
  expect(open(objectState({ id: "left", counts: columns(3, 4).counts, status: "deleted" }))).toEqual(["left", "right"]);
});

test("an object whose mask has changed hides what it covers now", () => {
  const overlaps = new Overlaps(proposals, ({ counts }) => RunLengths.fromCounts(counts, SIZE));
  const object = objectState({ id: "a", counts: columns(0, 10).counts });
  expect(overlaps.open([object]).map(({ id }) => id)).toEqual(["right"]);
  expect(overlaps.open([{ ...object, counts: columns(10, 20).counts }]).map(({ id }) => id)).toEqual(["left"]);
});
