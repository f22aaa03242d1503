// Answers questions about masks and logits, for comparison with another implementation: JSON on stdin, JSON on stdout.
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const load = async (name) => {
  const path = fileURLToPath(new URL(`../../src/geometry/${name}.ts`, import.meta.url));
  return (await runnerImport(path, { configFile: false, logLevel: "error" })).module;
};

const [{ Frame }, { RunLengths, encodeMask, decodeMask }, { traceMask }, { traceLevel }] = await Promise.all(
  ["frame", "rle", "contours", "levels"].map(load),
);

const floats = (encoded) => new Float32Array(new Uint8Array(Buffer.from(encoded, "base64")).buffer);
const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

function aboutMask({ counts, size }) {
  const mask = RunLengths.fromCounts(counts, size);
  return {
    counts: encodeMask(decodeMask(counts, size), size),
    area: mask.area,
    bounds: mask.bounds,
    rings: traceMask(mask).map((ring) => Array.from(ring)),
  };
}

function aboutFrame({ height, width, side, grid, logits, points, counts, threshold }) {
  const frame = new Frame(height, width, side);
  const mask = frame.logitsToRuns(floats(logits), grid, threshold);
  const window = frame.logitsToMask(floats(logits), grid, threshold);
  const prompt = frame.maskToLogits(RunLengths.fromCounts(counts, frame.size).window(), grid);
  return {
    input: [frame.inputHeight, frame.inputWidth],
    toModel: points.map(([x, y]) => Object.values(frame.toModel({ x, y }))),
    fromModel: points.map(([x, y]) => Object.values(frame.fromModel({ x, y }))),
    counts: mask.counts,
    windowed: RunLengths.fromWindow(window.mask, window.bounds, frame.size).counts,
    rings: traceLevel(floats(logits), grid, threshold, frame).map((ring) => Array.from(ring)),
    prompt: base64(prompt),
  };
}

const { masks, pairs, frames } = JSON.parse(await text(process.stdin));
process.stdout.write(
  JSON.stringify({
    masks: masks.map(aboutMask),
    pairs: pairs.map(({ first, second, size }) =>
      RunLengths.fromCounts(first, size).iou(RunLengths.fromCounts(second, size)),
    ),
    frames: frames.map(aboutFrame),
  }),
);
