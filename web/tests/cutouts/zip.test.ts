import { unzipSync } from "fflate";
import { expect, it } from "vitest";
import { ZipFile } from "../../src/cutouts/zip";

it("a ZIP has its files under their names, as they were", async () => {
  const zip = new ZipFile();
  await zip.add("truck-犬-1.png", new Blob([Uint8Array.of(1, 2, 3)]));
  await zip.add("truck-2.png", new Blob([]));
  const files = unzipSync(new Uint8Array(await zip.finish().arrayBuffer()));
  expect(files).toEqual({ "truck-犬-1.png": Uint8Array.of(1, 2, 3), "truck-2.png": new Uint8Array(0) });
});
