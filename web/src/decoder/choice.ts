import type { Model } from "../api/types";
import type { Decoded, Networks } from "./networks";
import { DecoderError } from "./protocol";

/** Milliseconds for a click, with which nobody wants a faster backend. */
const FAST_ENOUGH = 20;
/** Milliseconds after which a GPU that is still being tried is given up. */
const PATIENCE = 10_000;
/** Largest difference between backends that is rounding, as a part of the largest number compared. */
const TOLERANCE = 1e-2;
const CLICKS = 6;

export interface Backing {
  openWasm: () => Promise<Networks>;
  /** Gives null where there is no GPU. */
  openGpu: () => Promise<Networks | null>;
  /** Insist on the GPU, however slow it is. */
  mustBeGpu: boolean;
}

/**
 * Choose between WebAssembly, which works everywhere, and WebGPU.
 *
 * WebGPU is tried only where WebAssembly is slow, because its run-time is large, and taken where it gives the same
 * answers sooner. Whatever goes wrong with it is no error, unless it is insisted on.
 *
 * @throws DecoderError where it is insisted on, and missing or wrong.
 */
export async function chooseNetworks({ openWasm, openGpu, mustBeGpu }: Backing, model: Model): Promise<Networks> {
  const wasm = await openWasm();
  const wanted = await tryOut(wasm, model);
  if (wanted.milliseconds <= FAST_ENOUGH && !mustBeGpu) return wasm;
  const trying = tryGpu(openGpu, model, wanted, mustBeGpu);
  const gpu = mustBeGpu ? await trying : await Promise.race([trying, after(PATIENCE)]).catch(warn);
  if (gpu !== null) {
    await wasm.close();
    return gpu;
  }
  if (mustBeGpu) throw new DecoderError("This browser offers no WebGPU.");
  // It may still come, and then nobody uses it.
  trying.then((late) => late?.close()).catch(() => undefined);
  return wasm;
}

/** Gives null where there is no GPU, or none that is faster. */
async function tryGpu(
  open: Backing["openGpu"],
  model: Model,
  wanted: Trial,
  atAnySpeed: boolean,
): Promise<Networks | null> {
  const gpu = await open();
  if (gpu === null) return null;
  try {
    const got = await tryOut(gpu, model);
    if (!got.answers.every((answer, i) => agree(answer, wanted.answers[i]))) {
      throw new DecoderError("WebGPU computes other masks than WebAssembly in this browser.");
    }
    if (got.milliseconds < wanted.milliseconds || atAnySpeed) return gpu;
  } catch (error) {
    await gpu.close();
    throw error;
  }
  await gpu.close();
  return null;
}

function warn(error: unknown): null {
  console.warn("Masks are computed by WebAssembly, because WebGPU failed.", error);
  return null;
}

interface Trial {
  answers: Decoded[];
  /** Of the fastest click. */
  milliseconds: number;
}

/** Ask with clicks on a made-up picture, which also brings the run-time up to its speed. */
async function tryOut(networks: Networks, model: Model): Promise<Trial> {
  const numbers = model.embedding_shape.reduce((product, length) => product * length);
  const picture = await networks.encode(Float32Array.from({ length: numbers }, (_, i) => Math.sin(i)));
  const middle = model.input_side / 2;
  const tokens = { coords: Float32Array.of(middle, middle, 0, 0), labels: Float32Array.of(1, -1) };
  const clicked = await picture.click(tokens);
  const refined = await picture.refine(tokens, clicked.logits.slice(0, model.logits_side ** 2));
  let milliseconds = Infinity;
  for (let click = 0; click < CLICKS; click++) {
    const start = performance.now();
    await picture.click(tokens);
    milliseconds = Math.min(milliseconds, performance.now() - start);
  }
  picture.free();
  return { answers: [clicked, refined], milliseconds };
}

function agree(first: Decoded, second: Decoded | undefined): boolean {
  return second !== undefined && areClose(first.logits, second.logits) && areClose(first.scores, second.scores);
}

function areClose(first: Float32Array, second: Float32Array): boolean {
  const allowed = TOLERANCE * second.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  // A difference that is not a number is not small either.
  return first.length === second.length && first.every((value, i) => Math.abs(value - (second[i] ?? NaN)) <= allowed);
}

function after(milliseconds: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => {
      resolve(null);
    }, milliseconds);
  });
}
