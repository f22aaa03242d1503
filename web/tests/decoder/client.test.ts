import { beforeEach, describe, expect, test } from "vitest";
import type { DecoderFiles, Model, Prompts } from "../../src/api/types";
import { createDecoder } from "../../src/decoder/client";
import type { Decoder } from "../../src/decoder/decoder";
import { FakeWorker, settle } from "./fakeWorker";

const files: DecoderFiles = { image: "/a", click: "/b", refine: "/c" };
const model: Model = {
  name: "pocket",
  fingerprint: "f",
  input_side: 512,
  logits_side: 128,
  embedding_shape: [1, 256, 32, 32],
  mask_threshold: 0,
};
const size = { width: 20, height: 10 };
const click = (x: number) => ({ x, y: 1, positive: true });
const prompts = (...xs: number[]): Prompts => ({ clicks: xs.map(click), box: null, choice: null, base: null });

let workers: FakeWorker[];
let decoder: Decoder;

function worker(index = workers.length - 1): FakeWorker {
  const one = workers[index];
  if (one === undefined) throw new Error("no worker was started");
  return one;
}

function startWorker(): FakeWorker {
  const one = new FakeWorker();
  workers.push(one);
  return one;
}

beforeEach(async () => {
  workers = [];
  decoder = createDecoder({ startWorker });
  expect(workers).toHaveLength(0);
  expect(await decoder.load(files, model)).toBe("wasm");
  await decoder.setPicture(1, new ArrayBuffer(8), size);
});

describe("what is asked", () => {
  test("files, model and backends are told, and pictures without giving up the caller's embedding", async () => {
    const embedding = new ArrayBuffer(8);
    await decoder.setPicture(2, embedding, size);
    expect(embedding.byteLength).toBe(8);
    expect(worker().requests).toEqual([
      { kind: "load", files, model, backends: ["webgpu", "wasm"] },
      { kind: "setPicture", picture: 1, embedding, size },
      { kind: "setPicture", picture: 2, embedding, size },
    ]);
  });

  test("a backend can be insisted on", async () => {
    const insisting = createDecoder({ startWorker, backend: "wasm" });
    await insisting.load(files, model);
    expect(worker().requests[0]).toMatchObject({ backends: ["wasm"] });
  });

  test("while a click is answered the newest hover alone waits, and clicks go before it", async () => {
    const first = decoder.answer(1, prompts(1));
    const hovers = [1, 2, 3].map((x) => decoder.hover(1, { x, y: 0 }));
    const second = decoder.answer(1, prompts(5));
    for (const result of ["first", "second", "hover"]) await worker().reply(result);
    expect(await Promise.all([first, second, ...hovers])).toEqual(["first", "second", null, null, "hover"]);
    expect(worker().requests.at(-1)).toEqual({ kind: "hover", picture: 1, point: { x: 3, y: 0 } });
  });

  test("a click is dropped for more clicks on the same object, and for nothing else", async () => {
    const busy = decoder.answer(1, prompts(9));
    const refined = [prompts(1), prompts(1, 2), prompts(1, 2, 3)].map((one) => decoder.answer(1, one));
    const other = decoder.answer(1, prompts(4));
    const elsewhere = decoder.answer(2, prompts(4, 5));
    const again = decoder.answer(1, prompts(4));
    const reading = decoder.answer(1, { ...prompts(4), choice: 2 });
    void elsewhere.catch(() => undefined);
    for (const result of ["busy", "refined", "other", "reading"]) await worker().reply(result);
    expect(await Promise.all([busy, ...refined, other, again, reading])).toEqual([
      "busy",
      null,
      null,
      "refined",
      "other",
      "other",
      "reading",
    ]);
    await expect(elsewhere).rejects.toThrow("not ready for prompts yet");
  });

  test("a box that becomes a box with a click stays an object", async () => {
    const box: Prompts = { ...prompts(), box: [0, 0, 5, 5] };
    const answers = [prompts(9), box, { ...box, clicks: [click(1)] }].map((one) => decoder.answer(1, one));
    for (const result of ["busy", "box", "box and click"]) await worker().reply(result);
    expect(await Promise.all(answers)).toEqual(["busy", "box", "box and click"]);
  });
});

describe("pictures", () => {
  test("the longest unused goes when there are too many", async () => {
    for (const picture of [2, 3, 4]) await decoder.setPicture(picture, new ArrayBuffer(8), size);
    const used = decoder.hover(1, { x: 1, y: 1 });
    await worker().reply("hover");
    await used;
    await decoder.setPicture(5, new ArrayBuffer(8), size);
    expect([1, 2, 3, 4, 5].map((picture) => decoder.hasPicture(picture))).toEqual([true, false, true, true, true]);
    expect(worker().kinds()).toMatch(/hover 1, dropPicture 2, setPicture 5$/);
    await expect(decoder.answer(2, prompts(1))).rejects.toThrow("not ready for prompts yet");
  });

  test("one that cannot be prepared is not there", async () => {
    delete worker().atOnce.setPicture;
    const setting = decoder.setPicture(2, new ArrayBuffer(4), size);
    void setting.catch(() => undefined);
    await worker().fail("The embedding has another size.", false);
    await expect(setting).rejects.toThrow("The embedding has another size.");
    expect(decoder.hasPicture(2)).toBe(false);
    expect(decoder.hasPicture(1)).toBe(true);
  });
});

describe("when something goes wrong", () => {
  test("a failed answer fails alone", async () => {
    const [failed, next] = [decoder.answer(1, prompts(1)), decoder.answer(1, prompts(2))];
    void failed.catch(() => undefined);
    await worker().fail("The mask could not be computed.", false);
    await worker().reply("next");
    await expect(failed).rejects.toThrow("The mask could not be computed.");
    expect(await next).toBe("next");
    expect(workers).toHaveLength(1);
  });

  test.each([
    ["crashes", (one: FakeWorker) => one.crash("out of memory")],
    ["says that it is broken", (one: FakeWorker) => one.fail("Aborted.", true)],
  ])("a worker that %s is replaced, and the new one is given what it needs", async (_, end) => {
    const [failed, next] = [decoder.answer(1, prompts(1)), decoder.answer(1, prompts(2))];
    void failed.catch(() => undefined);
    await end(worker(0));
    await expect(failed).rejects.toThrow(/out of memory|Aborted/);
    expect(worker(0).isTerminated).toBe(true);
    await worker(1).reply("next");
    expect(await next).toBe("next");
    expect(worker(1).kinds()).toBe("load, setPicture 1, answer 1");
  });

  test("WebGPU is not tried again after it broke", async () => {
    const restarted = createDecoder({
      startWorker: () => {
        const one = new FakeWorker({ load: "webgpu", setPicture: null });
        workers.push(one);
        return one;
      },
    });
    expect(await restarted.load(files, model)).toBe("webgpu");
    await restarted.setPicture(1, new ArrayBuffer(8), size);
    const failed = restarted.hover(1, { x: 0, y: 0 });
    void failed.catch(() => undefined);
    await worker().fail("device lost", true);
    const next = restarted.hover(1, { x: 0, y: 0 });
    await worker().reply("hover");
    expect(await next).toBe("hover");
    expect(worker().requests[0]).toMatchObject({ kind: "load", backends: ["wasm"] });
  });

  test("a worker that breaks again and again is not started for ever", async () => {
    for (let crash = 0; crash < 4; crash++) {
      const failed = decoder.hover(1, { x: 0, y: 0 });
      void failed.catch(() => undefined);
      await worker().crash("");
      await expect(failed).rejects.toThrow("starts again with the next prompt");
    }
    await expect(decoder.hover(1, { x: 0, y: 0 })).rejects.toThrow("reload the page");
    expect(workers).toHaveLength(4);
    expect(await decoder.load(files, model)).toBe("wasm");
    expect(workers).toHaveLength(5);
  });

  test("files that cannot be fetched can be asked for again", async () => {
    workers = [];
    const late = createDecoder({
      startWorker: () => {
        const one = new FakeWorker({});
        workers.push(one);
        return one;
      },
    });
    await expect(late.hover(1, { x: 0, y: 0 })).rejects.toThrow("not loaded yet");
    const first = late.load(files, model);
    void first.catch(() => undefined);
    await worker().fail("the server said 503", false);
    await expect(first).rejects.toThrow("the server said 503");
    expect(worker(0).isTerminated).toBe(true);
    const second = late.load(files, model);
    await worker().reply("wasm");
    expect(await second).toBe("wasm");
  });

  test("closing ends the worker and all that waits", async () => {
    const calls = Promise.allSettled([decoder.answer(1, prompts(1)), decoder.hover(1, { x: 0, y: 0 })]);
    await settle();
    decoder.close();
    expect((await calls).map((call) => call.status === "rejected" && String(call.reason))).toEqual([
      "DecoderError: The decoder was closed.",
      "DecoderError: The decoder was closed.",
    ]);
    expect(worker().isTerminated).toBe(true);
    expect(decoder.hasPicture(1)).toBe(false);
    await expect(decoder.answer(1, prompts(1))).rejects.toThrow("not loaded yet");
  });
});
