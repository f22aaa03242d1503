import { Zip, ZipPassThrough } from "fflate";

/** Collects files into a ZIP. They are not compressed: PNGs would not become smaller. */
export class ZipFile {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #zip: Zip;
  #error: Error | null = null;

  constructor() {
    this.#zip = new Zip((error, part) => {
      // Without an error there is a part, whatever the types say.
      if (error) this.#error = error;
      else this.#parts.push(part as Uint8Array<ArrayBuffer>);
    });
  }

  async add(name: string, file: Blob): Promise<void> {
    const entry = new ZipPassThrough(name);
    this.#zip.add(entry);
    entry.push(new Uint8Array(await file.arrayBuffer()), true);
    this.#check();
  }

  finish(): Blob {
    this.#zip.end();
    this.#check();
    return new Blob(this.#parts, { type: "application/zip" });
  }

  #check(): void {
    if (this.#error) throw this.#error;
  }
}
