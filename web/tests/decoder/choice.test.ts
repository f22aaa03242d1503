import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Model } from "../../src/api/types";
import { chooseNetworks } from "../../src/decoder/choice";
import type { Backend } from "../../src/decoder/decoder";
import type { Networks } from "../../src/decoder/networks";

const model: Model = {
  name: "tiny",
  fingerprint: "f",
  input_side: 16,
  logits_side: 2,
  embedding_shape: [1, 2, 1, 1],
  mask_threshold: 0,
};

/** Networks that take so many milliseconds by the clock below, and whose logits are off by so much. */
class FakeNetworks implements Networks {
  readonly backend: Backend;
  isClosed = false;
  readonly #milliseconds: number;
  readonly #error: number;

  constructor(backend: Backend, milliseconds: number, error = 0) {
    this.backend = backend;
    this.#milliseconds = milliseconds;
    this.#error = error;
  }

  encode() {
    const answer = () => {
      now += this.#milliseconds;
      const logits = Float32Array.from({ length: 16 }, (_, i) => i - 8 + this.#error);
      return Promise.resolve({ logits, scores: Float32Array.of(0.1, 0.2, 0.3, 0.4) });
    };
    return Promise.resolve({ click: answer, refine: answer, free: () => undefined });
  }

  close() {
    this.isClosed = true;
    return Promise.resolve();
  }
}

let now = 0;
beforeEach(() => {
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function choose(wasm: FakeNetworks, openGpu: () => Promise<FakeNetworks | null>, mustBeGpu = false) {
  return chooseNetworks({ openWasm: () => Promise.resolve(wasm), openGpu, mustBeGpu }, model);
}

describe("left to choose", () => {
  test.each([
    ["faster and right", new FakeNetworks("webgpu", 5), "webgpu"],
    ["faster and right but for rounding", new FakeNetworks("webgpu", 5, 0.01), "webgpu"],
    ["slower", new FakeNetworks("webgpu", 90), "wasm"],
    ["faster and wrong", new FakeNetworks("webgpu", 5, 0.5), "wasm"],
    ["faster and without numbers", new FakeNetworks("webgpu", 5, NaN), "wasm"],
  ])("a GPU that is %s", async (_, gpu, backend) => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const wasm = new FakeNetworks("wasm", 50);
    const chosen = await choose(wasm, () => Promise.resolve(gpu));
    expect(chosen.backend).toBe(backend);
    expect([wasm.isClosed, gpu.isClosed]).toEqual([backend !== "wasm", backend !== "webgpu"]);
  });

  test("no GPU is looked for where WebAssembly is fast", async () => {
    const openGpu = vi.fn(() => Promise.resolve(null));
    expect((await choose(new FakeNetworks("wasm", 10), openGpu)).backend).toBe("wasm");
    expect(openGpu).not.toHaveBeenCalled();
  });

  test("no GPU is nothing to speak of", async () => {
    const warn = vi.spyOn(console, "warn");
    expect((await choose(new FakeNetworks("wasm", 50), () => Promise.resolve(null))).backend).toBe("wasm");
    expect(warn).not.toHaveBeenCalled();
  });

  test("one that fails is said", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const fails = () => Promise.reject(new Error("no shader"));
    expect((await choose(new FakeNetworks("wasm", 50), fails)).backend).toBe("wasm");
    expect(warn.mock.calls[0]?.[1]).toEqual(new Error("no shader"));
  });

  test("one that does not come is not waited for, and put away when it comes", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const late = new FakeNetworks("webgpu", 1);
    let arrive: (networks: FakeNetworks) => void = () => undefined;
    const choosing = choose(
      new FakeNetworks("wasm", 50),
      () =>
        new Promise((resolve) => {
          arrive = resolve;
        }),
    );
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await choosing).backend).toBe("wasm");
    arrive(late);
    await vi.waitFor(() => {
      expect(late.isClosed).toBe(true);
    });
  });
});

describe("insisting on the GPU", () => {
  test("a slow one is taken", async () => {
    const gpu = new FakeNetworks("webgpu", 900);
    expect(await choose(new FakeNetworks("wasm", 5), () => Promise.resolve(gpu), true)).toBe(gpu);
  });

  test("a wrong or missing one is an error", async () => {
    const wrong = new FakeNetworks("webgpu", 5, 0.5);
    await expect(choose(new FakeNetworks("wasm", 5), () => Promise.resolve(wrong), true)).rejects.toThrow(
      "computes other masks",
    );
    expect(wrong.isClosed).toBe(true);
    await expect(choose(new FakeNetworks("wasm", 5), () => Promise.resolve(null), true)).rejects.toThrow("no WebGPU");
  });
});
