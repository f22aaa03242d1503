import glueUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import gpuGlueUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import type { Model } from "../api/types";
import type { Backend } from "./decoder";
import { openNetworks, type Decoded, type NetworkFiles, type Networks } from "./networks";
import { DecoderError, type Backends } from "./protocol";

/** More threads than this hardly help with matrices as small as these. */
const MAX_THREADS = 4;
/** Largest difference between backends that is rounding, as a part of the largest number compared. */
const TOLERANCE = 1e-2;
const TRIALS = 5;

/** As far as it is asked here; TypeScript's own library does not know it. */
interface GpuNavigator {
  gpu?: { requestAdapter(options?: object): Promise<{ info?: { isFallbackAdapter?: boolean } } | null> };
}

/**
 * Build the networks on the best backend there is.
 *
 * WebAssembly works everywhere. WebGPU is taken where it gives the same answers in less time.
 *
 * @param backends - which to try; a single one is taken however fast it is.
 * @throws DecoderError where none of them works.
 */
export async function openBestNetworks(files: NetworkFiles, model: Model, backends: Backends): Promise<Networks> {
  const wantsGpu = backends.includes("webgpu");
  const mustBeGpu = wantsGpu && backends.length === 1;
  const wasm = await open("wasm", files, model);
  if (!wantsGpu || !(await hasGpu(mustBeGpu))) {
    if (!mustBeGpu) return wasm;
    throw new DecoderError("This browser offers no WebGPU to compute masks with.");
  }
  let gpu: Networks | null = null;
  try {
    gpu = await open("webgpu", files, model);
    const isBetter = await comparesWell(gpu, wasm, model, mustBeGpu);
    const [better, other] = isBetter ? [gpu, wasm] : [wasm, gpu];
    await other.close();
    if (mustBeGpu && !isBetter) throw new DecoderError("WebGPU computes other masks than WebAssembly here.");
    return better;
  } catch (error) {
    if (mustBeGpu) throw error;
    console.warn("Masks are computed by WebAssembly, because WebGPU failed:", error);
    return wasm;
  }
}

/** How many threads WebAssembly computes on: one where the page is not isolated, which shared memory needs. */
export function threadCount(isIsolated: boolean, cores: number): number {
  return isIsolated ? Math.max(1, Math.min(MAX_THREADS, cores)) : 1;
}

async function open(backend: Backend, files: NetworkFiles, model: Model): Promise<Networks> {
  const isGpu = backend === "webgpu";
  const runtime = isGpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  runtime.env.logLevel = "error";
  runtime.env.wasm.numThreads = threadCount(self.crossOriginIsolated, navigator.hardwareConcurrency);
  const absolute = (url: string) => new URL(url, self.location.href).href;
  runtime.env.wasm.wasmPaths = {
    mjs: absolute(isGpu ? gpuGlueUrl : glueUrl),
    wasm: absolute(isGpu ? gpuWasmUrl : wasmUrl),
  };
  return openNetworks(runtime, backend, files, model);
}

/** Whether there is a GPU; one that the processor plays counts only where it must. */
async function hasGpu(mustBe: boolean): Promise<boolean> {
  const adapter = await (navigator as GpuNavigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
  return adapter != null && (mustBe || adapter.info?.isFallbackAdapter !== true);
}

/** Whether a backend answers as the other does, and sooner unless that does not matter. */
async function comparesWell(first: Networks, second: Networks, model: Model, atAnySpeed: boolean): Promise<boolean> {
  const embedding = Float32Array.from({ length: model.embedding_shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
  const middle = model.input_side / 2;
  const tokens = { coords: Float32Array.of(middle, middle, 0, 0), labels: Float32Array.of(1, -1) };
  const [answers, times]: [Decoded[], number[]] = [[], []];
  for (const networks of [first, second]) {
    const picture = await networks.encode(embedding);
    const clicked = await picture.click(tokens);
    const refined = await picture.refine(tokens, clicked.logits.slice(0, model.logits_side ** 2));
    answers.push(clicked, refined);
    const took = [];
    for (let trial = 0; trial < TRIALS; trial++) {
      const start = performance.now();
      await picture.click(tokens);
      took.push(performance.now() - start);
    }
    times.push(Math.min(...took));
    picture.free();
  }
  const [gpuClicked, gpuRefined, clicked, refined] = answers as [Decoded, Decoded, Decoded, Decoded];
  const [time, otherTime] = times as [number, number];
  return agree(gpuClicked, clicked) && agree(gpuRefined, refined) && (atAnySpeed || time < otherTime);
}

/** Whether two answers are the same but for rounding. */
export function agree(first: Decoded, second: Decoded): boolean {
  return areClose(first.logits, second.logits) && areClose(first.scores, second.scores);
}

function areClose(first: Float32Array, second: Float32Array): boolean {
  const allowed = TOLERANCE * second.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  // A difference that is not a number is not small either.
  return first.length === second.length && first.every((value, i) => Math.abs(value - (second[i] ?? NaN)) <= allowed);
}
