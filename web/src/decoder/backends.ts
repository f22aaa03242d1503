import glueUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import gpuGlueUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuWasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import type { Model } from "../api/types";
import { chooseNetworks } from "./choice";
import type { Backend } from "./decoder";
import { openNetworks, type NetworkFiles, type Networks } from "./networks";
import type { Backends } from "./protocol";

/** More threads than this hardly help with matrices as small as these. */
const MAX_THREADS = 4;

/** As far as it is asked here; TypeScript's own library does not know it. */
interface GpuNavigator {
  gpu?: { requestAdapter(options?: object): Promise<{ info?: { isFallbackAdapter?: boolean } } | null> };
}

/**
 * Build the networks on the best backend there is.
 *
 * @param backends - which to try; a single one is taken however fast it is.
 * @throws DecoderError where the only one asked for does not work, and what the run-time throws.
 */
export function openBestNetworks(files: NetworkFiles, model: Model, backends: Backends): Promise<Networks> {
  const isOnlyOne = backends.length === 1;
  return chooseNetworks(
    {
      openWasm: () => open("wasm", files, model),
      openGpu: async () =>
        backends.includes("webgpu") && (await hasGpu(isOnlyOne)) ? open("webgpu", files, model) : null,
      mustBeGpu: isOnlyOne && backends[0] === "webgpu",
    },
    model,
  );
}

/** How many threads WebAssembly computes on: one where the page is not isolated, because they share memory. */
export function threadCount(isIsolated: boolean, cores: number): number {
  return isIsolated ? Math.max(1, Math.min(MAX_THREADS, cores)) : 1;
}

async function open(backend: Backend, files: NetworkFiles, model: Model): Promise<Networks> {
  const isGpu = backend === "webgpu";
  const runtime = isGpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  const addressOf = (url: string) => new URL(url, self.location.href).href;
  runtime.env.logLevel = "error";
  runtime.env.wasm.numThreads = threadCount(self.crossOriginIsolated, navigator.hardwareConcurrency);
  runtime.env.wasm.wasmPaths = {
    mjs: addressOf(isGpu ? gpuGlueUrl : glueUrl),
    wasm: addressOf(isGpu ? gpuWasmUrl : wasmUrl),
  };
  return openNetworks(runtime, backend, files, model);
}

/** Whether there is a GPU; one that the processor plays is slow, and counts only where one is insisted on. */
async function hasGpu(isInsistedOn: boolean): Promise<boolean> {
  const adapter = await (navigator as GpuNavigator).gpu?.requestAdapter({ powerPreference: "high-performance" });
  return adapter != null && (isInsistedOn || adapter.info?.isFallbackAdapter !== true);
}
