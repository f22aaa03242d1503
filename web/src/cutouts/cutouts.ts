import { RunLengths, union } from "../geometry/rle";
import type { Bounds, Size } from "../geometry/shapes";
import { CutOutError } from "./cut";
import type { Cut, CutAnswer, CutOutObject, CutRequest } from "./protocol";

export { copyToClipboard } from "./clipboard";
export { CutOutError };
export { allCutOutsName, cutOutName } from "./names";
export { saveBlob } from "./saving";
export type { CutOutObject };

/** A picture with its pixels, at full size and turned as it is shown. */
export type PicturePixels = HTMLImageElement | ImageBitmap;

export interface CutOutOptions {
  /** Is told how many objects are done. */
  onProgress?: (done: number, total: number) => void;
  /** Gives up, and rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Cut one object out, in its tight box, as a PNG: opaque on its mask, and transparent elsewhere. */
export function cutOut(picture: PicturePixels, object: CutOutObject, options: CutOutOptions = {}): Promise<Blob> {
  return cutInWorker(picture, [object], { kind: "one", object }, options);
}

/** Cut all objects out together, as a PNG of the picture's size. */
export function cutOutTogether(
  picture: PicturePixels,
  objects: readonly CutOutObject[],
  options: CutOutOptions = {},
): Promise<Blob> {
  return cutInWorker(picture, objects, { kind: "together", objects }, options);
}

/** Cut every object out by itself, as a ZIP of PNGs named after the picture, the label and the place in the list. */
export function cutOutsZip(
  picture: PicturePixels,
  pictureName: string,
  objects: readonly CutOutObject[],
  options: CutOutOptions = {},
): Promise<Blob> {
  return cutInWorker(picture, objects, { kind: "each", objects, pictureName }, options);
}

async function cutInWorker(
  picture: PicturePixels,
  objects: readonly CutOutObject[],
  cut: Cut,
  { onProgress, signal }: CutOutOptions,
): Promise<Blob> {
  signal?.throwIfAborted();
  const size = sizeOf(picture);
  const extent = union(
    objects.map((object) => RunLengths.fromCounts(object.counts, size)),
    size,
  ).bounds;
  if (extent === null) {
    throw new CutOutError(
      objects.length === 1
        ? "The object's mask is empty: there is nothing to cut out."
        : "There is no object with a mask to cut out.",
    );
  }
  const [x0, y0, x1, y1]: Bounds = cut.kind === "together" ? [0, 0, size.width, size.height] : extent;
  const bitmap = await createImageBitmap(picture, x0, y0, x1 - x0, y1 - y0).catch((error: unknown) => {
    throw new CutOutError(`The picture's pixels cannot be read: ${reasonOf(error)}`);
  });
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const request: CutRequest = { bitmap, corner: { x: x0, y: y0 }, size, cut };
  try {
    return await new Promise<Blob>((resolve, reject) => {
      const giveUp = (): void => {
        reject(signal?.reason as Error);
      };
      if (signal?.aborted) giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      worker.addEventListener("error", (event) => {
        reject(new CutOutError(`Cutting out failed: ${event.message || "its worker could not be started"}.`));
      });
      worker.addEventListener("message", ({ data }: MessageEvent<CutAnswer>) => {
        if (data.kind === "progress") onProgress?.(data.done, objects.length);
        else if (data.kind === "done") resolve(data.file);
        else reject(new CutOutError(data.reason));
      });
      worker.postMessage(request, [bitmap]);
    });
  } finally {
    worker.terminate();
  }
}

function sizeOf(picture: PicturePixels): Size {
  const size =
    "naturalWidth" in picture
      ? { width: picture.naturalWidth, height: picture.naturalHeight }
      : { width: picture.width, height: picture.height };
  if (size.width === 0 || size.height === 0) throw new CutOutError("The picture is not loaded yet.");
  return size;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
