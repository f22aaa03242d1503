import { expect, test } from "vitest";
import { Schedule, type Lane } from "../../src/decoder/schedule";

const clicks: Lane<string> = { rank: 1, relate: (newer, waiting) => (newer === waiting ? "repeats" : "follows") };
const hovers: Lane<null> = { rank: 2, relate: () => "replaces" };

/** Calls that end when they are told to. */
class Calls {
  readonly schedule = new Schedule();
  readonly begun: string[] = [];
  readonly #ends = new Map<string, (failure?: Error) => void>();

  hover(name: string) {
    return this.schedule.add(hovers, null, () => this.#begin(name));
  }

  click(name: string) {
    return this.schedule.add(clicks, name, () => this.#begin(name));
  }

  async end(name: string, failure?: Error) {
    this.#ends.get(name)?.(failure);
    await settle();
  }

  #begin(name: string) {
    this.begun.push(name);
    return new Promise<string>((resolve, reject) => {
      this.#ends.set(name, (failure) => {
        if (failure === undefined) resolve(`done ${name}`);
        else reject(failure);
      });
    });
  }
}

function settle() {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

test("one is computed, the newest waits", async () => {
  const calls = new Calls();
  const results = ["a", "b", "c", "d"].map((name) => calls.hover(name));
  expect(calls.begun).toEqual(["a"]);
  await calls.end("a");
  expect(calls.begun).toEqual(["a", "d"]);
  await calls.end("d");
  expect(await Promise.all(results)).toEqual(["done a", null, null, "done d"]);
});

test("clicks go before hovers, in their order, and none is dropped", async () => {
  const calls = new Calls();
  const results = [calls.hover("h1"), calls.hover("h2"), calls.click("c1"), calls.click("c2"), calls.hover("h3")];
  for (const name of ["h1", "c1", "c2", "h3"]) await calls.end(name);
  expect(calls.begun).toEqual(["h1", "c1", "c2", "h3"]);
  expect(await Promise.all(results)).toEqual(["done h1", null, "done c1", "done c2", "done h3"]);
});

test("the same call is computed once, and both are told", async () => {
  const calls = new Calls();
  const results = [calls.click("a"), calls.click("b"), calls.click("b")];
  for (const name of ["a", "b"]) await calls.end(name);
  expect(calls.begun).toEqual(["a", "b"]);
  expect(await Promise.all(results)).toEqual(["done a", "done b", "done b"]);
});

test("a failure is that call's alone", async () => {
  const calls = new Calls();
  const results = Promise.allSettled([calls.click("a"), calls.click("b")]);
  await calls.end("a", new Error("no"));
  await calls.end("b");
  expect(await results).toEqual([
    { status: "rejected", reason: new Error("no") },
    { status: "fulfilled", value: "done b" },
  ]);
});

test("what waits can be given up", async () => {
  const calls = new Calls();
  const results = Promise.allSettled([calls.click("a"), calls.click("b"), calls.hover("h")]);
  calls.schedule.clear(new Error("closed"));
  await calls.end("a");
  expect((await results).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  const next = calls.click("c");
  await calls.end("c");
  expect(await next).toBe("done c");
});
