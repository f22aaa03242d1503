import {
  DecoderError,
  type Envelope,
  type Reply,
  type Kind,
  type Request,
  type Requests,
  type Results,
} from "./protocol";

/** As much of a Worker as is needed. */
export type WorkerLike = Pick<Worker, "postMessage" | "terminate" | "onmessage" | "onerror" | "onmessageerror">;

interface Waiting {
  resolve: (result: never) => void;
  reject: (reason: DecoderError) => void;
}

/** One worker, and the requests that it has not answered. */
export class Connection {
  readonly #worker: WorkerLike;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @param onBroken - called when nothing more can be asked; all that waited is being rejected then. */
  constructor(worker: WorkerLike, onBroken: () => void) {
    this.#worker = worker;
    const fail = (reason: string) => {
      this.end(new DecoderError(reason, { broken: true }));
      onBroken();
    };
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("result" in data) {
        waiting?.resolve(data.result as never);
      } else {
        waiting?.reject(new DecoderError(data.problem, { broken: data.broken }));
        if (data.broken) fail("The decoder stopped, and starts again with the next prompt.");
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      fail(`The decoder stopped, and starts again with the next prompt${event.message ? ` (${event.message})` : ""}.`);
    };
    worker.onmessageerror = () => {
      fail("The decoder's answer could not be read; it starts again with the next prompt.");
    };
  }

  /** @throws DecoderError (as a rejection) where it cannot be answered. */
  ask<K extends Kind>(kind: K, details: Requests[K]): Promise<Results[K]> {
    const envelope: Envelope = { id: ++this.#last, request: { kind, ...details } as Request };
    return new Promise((resolve, reject) => {
      this.#waiting.set(envelope.id, { resolve, reject });
      this.#worker.postMessage(envelope);
    });
  }

  /** Stop the worker, and reject what waits for it. */
  end(reason: DecoderError): void {
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
