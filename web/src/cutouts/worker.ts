import { RunLengths, union } from "../geometry/rle";
import type { Size } from "../geometry/shapes";
import { cutPng, type ReadPixels } from "./cut";
import { cutOutName } from "./names";
import type { Cut, CutAnswer, CutRequest } from "./protocol";
import { ZipFile } from "./zip";

function reply(answer: CutAnswer): void {
  postMessage(answer);
}

/** No browser's canvas is narrower than this. */
const CANVAS_WIDTH = 8192;

/** Read rectangles of a bitmap by way of a canvas; what is transparent is white, as the model saw it. */
function pixelsOf({ bitmap, corner }: CutRequest): ReadPixels {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("This browser gives no canvas to read the picture's pixels.");
  const readTile = (x: number, y: number, width: number, height: number): Uint8ClampedArray => {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, x - corner.x, y - corner.y, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  return ([x0, y0, x1, y1]) => {
    const [width, height] = [x1 - x0, y1 - y0];
    if (width <= CANVAS_WIDTH) return readTile(x0, y0, width, height);
    const pixels = new Uint8ClampedArray(4 * width * height);
    for (let left = 0; left < width; left += CANVAS_WIDTH) {
      const across = Math.min(CANVAS_WIDTH, width - left);
      const tile = readTile(x0 + left, y0, across, height);
      for (let row = 0; row < height; row++) {
        pixels.set(tile.subarray(4 * row * across, 4 * (row + 1) * across), 4 * (row * width + left));
      }
    }
    return pixels;
  };
}

async function answer(read: ReadPixels, size: Size, cut: Cut): Promise<Blob> {
  if (cut.kind === "one") return cutPng(read, RunLengths.fromCounts(cut.object.counts, size));
  const masks = cut.objects.map((object) => RunLengths.fromCounts(object.counts, size));
  if (cut.kind === "together") return cutPng(read, union(masks, size), [0, 0, size.width, size.height]);
  const zip = new ZipFile();
  for (const [i, mask] of masks.entries()) {
    const label = cut.objects[i]?.label ?? null;
    if (mask.area > 0) await zip.add(cutOutName(cut.pictureName, label, i + 1), cutPng(read, mask));
    reply({ kind: "progress", done: i + 1 });
  }
  return zip.finish();
}

addEventListener("message", (event: MessageEvent<CutRequest>) => {
  const request = event.data;
  const run = async (): Promise<void> => {
    try {
      reply({ kind: "done", file: await answer(pixelsOf(request), request.size, request.cut) });
    } catch (error) {
      reply({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
    } finally {
      request.bitmap.close();
    }
  };
  void run();
});
