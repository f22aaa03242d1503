import * as cutouts from "../../../src/cutouts/cutouts";

/** What the tests call from outside of the page; files come back as base64. */
const calls = {
  async one(url: string, counts: string) {
    return encode(await cutouts.cutOut(await picture(url), { counts, label: null }));
  },
  async together(url: string, objects: cutouts.CutOutObject[]) {
    return encode(await cutouts.cutOutTogether(await picture(url), objects));
  },
  async zip(url: string, name: string, objects: cutouts.CutOutObject[]) {
    const progress: [number, number][] = [];
    const onProgress = (...step: [number, number]) => progress.push(step);
    const file = await cutouts.cutOutsZip(await picture(url), name, objects, { onProgress });
    return { file: await encode(file), progress };
  },
  async abort(url: string, name: string, objects: cutouts.CutOutObject[]) {
    const controller = new AbortController();
    const onProgress = () => {
      controller.abort(new Error("given up"));
    };
    await cutouts.cutOutsZip(await picture(url), name, objects, { onProgress, signal: controller.signal });
  },
  async save(url: string, counts: string, name: string) {
    cutouts.saveBlob(await cutouts.cutOut(await picture(url), { counts, label: null }), name);
  },
  /** Copy when the button is pressed: the picture is ready before, the cut-out is not. */
  async copyOnPress(url: string, counts: string) {
    const image = await picture(url);
    const button = document.querySelector("button");
    button?.addEventListener("click", () => {
      cutouts.copyToClipboard(cutouts.cutOut(image, { counts, label: null })).then(
        () => (document.title = "copied"),
        (error: unknown) => (document.title = String(error)),
      );
    });
  },
};

async function picture(url: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

async function encode(file: Blob): Promise<string> {
  let text = "";
  for (const byte of new Uint8Array(await file.arrayBuffer())) text += String.fromCharCode(byte);
  return btoa(text);
}

Object.assign(window, { calls });
