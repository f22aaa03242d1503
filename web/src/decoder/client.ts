import type { DecoderFiles, Model, Prompts } from "../api/types";
import type { Point, Size } from "../geometry/shapes";
import { Connection, type WorkerLike } from "./connection";
import type { Answer, Backend, Decoder, Preview } from "./decoder";
import { DecoderError, type Backends, type Requests, type Results } from "./protocol";
import { Schedule, type Lane, type Relation } from "./schedule";

/** Pictures that the worker keeps ready; each takes six times its embedding in single precision. */
const MAX_PICTURES = 4;
/** How often in a row a worker that broke is replaced, without an answer in between. */
const MAX_RESTARTS = 3;

export interface DecoderOptions {
  /** Insist on a backend; left out, the faster one that works is taken. */
  backend?: Backend | undefined;
  startWorker?: () => WorkerLike;
}

interface Asked {
  picture: number;
  prompts: Prompts;
}

const LANES = {
  picture: { rank: 0, relate: () => "follows" } satisfies Lane<null>,
  answer: { rank: 1, relate: relateAnswers } satisfies Lane<Asked>,
  preview: { rank: 2, relate: () => "replaces" } satisfies Lane<null>,
  hover: { rank: 3, relate: () => "replaces" } satisfies Lane<null>,
};

/** Make a decoder in a worker of its own; nothing is fetched before {@link Decoder.load}. */
export function createDecoder(options: DecoderOptions = {}): Decoder {
  return new DecoderClient(options);
}

function startBrowserWorker(): Worker {
  return new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "decoder" });
}

/** A worker that has been told what to load. */
interface Started {
  connection: Connection;
  ready: Promise<Backend>;
  backend: Backend | null;
  /** Pictures that it has. */
  pictures: Set<number>;
}

/**
 * The page's side of the decoder.
 *
 * A worker that breaks fails the call that it was computing, and is replaced for the next one: embeddings are kept here
 * for that.
 */
class DecoderClient implements Decoder {
  readonly #startWorker: () => WorkerLike;
  readonly #schedule = new Schedule();
  /** The longest unused first. */
  readonly #pictures = new Map<number, { embedding: ArrayBuffer; size: Size }>();
  #backends: Backends;
  #source: { files: DecoderFiles; model: Model } | null = null;
  #started: Started | null = null;
  #restarts = 0;

  constructor({ backend, startWorker = startBrowserWorker }: DecoderOptions) {
    this.#backends = backend === undefined ? ["webgpu", "wasm"] : [backend];
    this.#startWorker = startWorker;
  }

  async load(files: DecoderFiles, model: Model): Promise<Backend> {
    this.#stop("The decoder was loaded again.");
    this.#source = { files, model };
    this.#restarts = 0;
    const { ready } = await this.#connect();
    return ready;
  }

  async setPicture(picture: number, embedding: ArrayBuffer, size: Size): Promise<void> {
    await this.#schedule.add(LANES.picture, null, async () => {
      const started = await this.#connect();
      this.#pictures.delete(picture);
      this.#pictures.set(picture, { embedding, size });
      started.pictures.delete(picture);
      await this.#bring(started, picture);
    });
  }

  hasPicture(picture: number): boolean {
    return this.#pictures.has(picture);
  }

  hover(picture: number, point: Point): Promise<Preview | null> {
    return this.#schedule.add(LANES.hover, null, () => this.#ask("hover", { picture, point }));
  }

  preview(picture: number, prompts: Prompts): Promise<Preview | null> {
    return this.#schedule.add(LANES.preview, null, () => this.#ask("preview", { picture, prompts }));
  }

  answer(picture: number, prompts: Prompts): Promise<Answer | null> {
    return this.#schedule.add(LANES.answer, { picture, prompts }, () => this.#ask("answer", { picture, prompts }));
  }

  close(): void {
    this.#stop("The decoder was closed.");
  }

  async #ask<K extends "hover" | "preview" | "answer">(kind: K, details: Requests[K]): Promise<Results[K]> {
    const { picture } = details;
    const started = await this.#connect();
    const kept = this.#pictures.get(picture);
    if (kept === undefined) throw new DecoderError("The picture is not ready for prompts yet.");
    this.#pictures.delete(picture);
    this.#pictures.set(picture, kept);
    await this.#bring(started, picture);
    const result = await started.connection.ask(kind, details);
    this.#restarts = 0;
    return result;
  }

  /** Let the worker have a picture, and no more of them than it may keep. */
  async #bring({ connection, pictures }: Started, picture: number): Promise<void> {
    for (const oldest of [...this.#pictures.keys()].slice(0, -MAX_PICTURES)) {
      this.#pictures.delete(oldest);
      if (pictures.delete(oldest)) await connection.ask("dropPicture", { picture: oldest });
    }
    const kept = this.#pictures.get(picture);
    if (kept === undefined || pictures.has(picture)) return;
    try {
      await connection.ask("setPicture", { picture, ...kept });
      pictures.add(picture);
    } catch (error) {
      if (!(error instanceof DecoderError && error.broken)) this.#pictures.delete(picture);
      throw error;
    }
  }

  /** The worker, once it is ready; another one if the last one broke. */
  async #connect(): Promise<Started> {
    const started = (this.#started ??= this.#start());
    try {
      started.backend = await started.ready;
    } catch (error) {
      if (this.#started === started) {
        started.connection.end(new DecoderError("The decoder could not be started."));
        this.#started = null;
      }
      throw error;
    }
    return started;
  }

  #start(): Started {
    if (this.#source === null) throw new DecoderError("The decoder is not loaded yet.");
    if (this.#restarts > MAX_RESTARTS) {
      throw new DecoderError("The decoder stops again and again: reload the page, or close other tabs to free memory.");
    }
    const connection = new Connection(this.#startWorker(), () => {
      if (this.#started !== started) return;
      this.#started = null;
      this.#restarts++;
      // What broke once may break again, and WebAssembly works everywhere.
      if (started.backend === "webgpu" && this.#backends.length > 1) this.#backends = ["wasm"];
    });
    const ready = connection.ask("load", { ...this.#source, backends: this.#backends });
    const started: Started = { connection, ready, backend: null, pictures: new Set() };
    return started;
  }

  #stop(reason: string): void {
    const error = new DecoderError(reason);
    this.#schedule.clear(error);
    this.#started?.connection.end(error);
    this.#started = null;
    this.#source = null;
    this.#pictures.clear();
  }
}

/**
 * An answer that waits is needless once the same object has more clicks. Anything else may be another object, and is
 * not dropped.
 */
function relateAnswers(newer: Asked, waiting: Asked): Relation {
  const [a, b] = [newer.prompts, waiting.prompts];
  const shared = a.clicks.slice(0, b.clicks.length);
  const isContinued =
    newer.picture === waiting.picture &&
    b.clicks.length > 0 &&
    JSON.stringify([a.box, a.base, shared]) === JSON.stringify([b.box, b.base, b.clicks]);
  if (!isContinued) return "follows";
  if (a.clicks.length > b.clicks.length) return "replaces";
  return a.choice === b.choice ? "repeats" : "follows";
}
