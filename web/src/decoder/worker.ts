import { Frame } from "../geometry/frame";
import type { DecoderFiles, Model } from "../api/types";
import type { Size } from "../geometry/shapes";
import { openBestNetworks } from "./backends";
import type { Backend } from "./decoder";
import { floatsFromHalves } from "./halves";
import type { NetworkFiles, Networks } from "./networks";
import { PictureDecoder } from "./pictureDecoder";
import {
  DecoderError,
  type Backends,
  type Envelope,
  type Kind,
  type Reply,
  type Request,
  type Results,
} from "./protocol";

let loaded: { networks: Networks; model: Model } | null = null;
const pictures = new Map<number, PictureDecoder>();

async function load(files: DecoderFiles, model: Model, backends: Backends): Promise<Backend> {
  const [image, click, refine] = await Promise.all([files.image, files.click, files.refine].map(fetchFile));
  const networks = await openBestNetworks({ image, click, refine } as NetworkFiles, model, backends);
  loaded = { networks, model };
  return networks.backend;
}

async function fetchFile(address: string): Promise<Uint8Array> {
  const response = await fetch(new URL(address, self.location.origin)).catch((error: unknown) => {
    throw new DecoderError("The decoder could not be fetched, because the server does not answer.", { cause: error });
  });
  if (!response.ok) throw new DecoderError(`The decoder could not be fetched: the server said ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

async function setPicture(picture: number, embedding: ArrayBuffer, size: Size): Promise<null> {
  if (loaded === null) throw new DecoderError("The decoder is not loaded yet.");
  const { networks, model } = loaded;
  const expected = 2 * model.embedding_shape.reduce((product, length) => product * length);
  if (embedding.byteLength !== expected) {
    throw new DecoderError(
      `The picture's embedding has ${embedding.byteLength} bytes where this model's have ${expected}: ` +
        "reload the page, in case the studio was started with another model.",
    );
  }
  const frame = new Frame(size.height, size.width, model.input_side);
  const encoded = await networks.encode(floatsFromHalves(new Uint16Array(embedding)));
  dropPicture(picture);
  pictures.set(picture, new PictureDecoder(encoded, frame, model));
  return null;
}

function dropPicture(picture: number): null {
  pictures.get(picture)?.free();
  pictures.delete(picture);
  return null;
}

function pictureOf(number: number): PictureDecoder {
  const picture = pictures.get(number);
  if (picture === undefined) throw new DecoderError("The picture is not ready for prompts yet.");
  return picture;
}

function respond(request: Request): Promise<Results[Kind]> | null {
  switch (request.kind) {
    case "load":
      return load(request.files, request.model, request.backends);
    case "setPicture":
      return setPicture(request.picture, request.embedding, request.size);
    case "dropPicture":
      return dropPicture(request.picture);
    case "hover":
      return pictureOf(request.picture).hover(request.point);
    case "preview":
      return pictureOf(request.picture).preview(request.prompts);
    case "answer":
      return pictureOf(request.picture).answer(request.prompts);
  }
}

const FAILURES: Record<Kind, string> = {
  load: "The decoder could not be started",
  setPicture: "The picture could not be prepared for prompts",
  dropPicture: "The picture could not be put away",
  hover: "The mask could not be computed",
  preview: "The mask could not be computed",
  answer: "The mask could not be computed",
};

/** Whether a run-time that failed like this has come to its end: WebAssembly throws numbers where C++ throws. */
function isBroken(error: unknown): boolean {
  return (
    error instanceof WebAssembly.RuntimeError || typeof error === "number" || loaded?.networks.backend === "webgpu"
  );
}

self.onmessage = async ({ data: { id, request } }: MessageEvent<Envelope>) => {
  try {
    const result = await respond(request);
    const rings = result !== null && typeof result === "object" && "rings" in result ? result.rings : [];
    const reply: Reply = { id, result };
    // What is shown once is handed over; candidates are remembered here, and copied.
    self.postMessage(reply, { transfer: rings.map(({ buffer }) => buffer) });
  } catch (error) {
    const isExpected = error instanceof DecoderError;
    const reason = error instanceof Error ? error.message : String(error);
    const problem = isExpected ? reason : `${FAILURES[request.kind]}: ${reason}`;
    const reply: Reply = { id, problem, broken: !isExpected && isBroken(error) };
    self.postMessage(reply);
  }
};
