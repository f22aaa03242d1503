import type { DecoderFiles, Model, Prompts } from "../api/types";
import type { Point, Size } from "../geometry/shapes";
import type { Answer, Backend, Preview } from "./decoder";

/** Which backends to try, the preferred one first. */
export type Backends = readonly Backend[];

/** What the page asks of the worker. */
export interface Requests {
  load: { files: DecoderFiles; model: Model; backends: Backends };
  setPicture: { picture: number; embedding: ArrayBuffer; size: Size };
  dropPicture: { picture: number };
  hover: { picture: number; point: Point };
  preview: { picture: number; prompts: Prompts };
  answer: { picture: number; prompts: Prompts };
}

export type Kind = keyof Requests;
export type Request = { [K in Kind]: { kind: K } & Requests[K] }[Kind];

/** What the worker gives back for each kind of request. */
export interface Results {
  load: Backend;
  setPicture: null;
  dropPicture: null;
  hover: Preview;
  preview: Preview;
  answer: Answer;
}

/** A request with the number that its reply carries. */
export interface Envelope {
  id: number;
  request: Request;
}

export type Reply =
  | { id: number; result: Results[Kind] }
  /** `broken`: nothing more can be computed by this worker. */
  | { id: number; problem: string; broken: boolean };

/** What a decoder cannot do, in a sentence for the person in front of the page. */
export class DecoderError extends Error {
  override readonly name = "DecoderError";
  /** Whether the worker that said so cannot go on. */
  readonly broken: boolean;

  constructor(message: string, options: ErrorOptions & { broken?: boolean } = {}) {
    super(message, options);
    this.broken = options.broken ?? false;
  }
}
