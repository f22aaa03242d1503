import type { WorkerLike } from "../../src/decoder/connection";
import type { Envelope, Kind, Reply, Request } from "../../src/decoder/protocol";

/** A worker that answers when it is told to. */
export class FakeWorker implements WorkerLike {
  onmessage: WorkerLike["onmessage"] = null;
  onerror: WorkerLike["onerror"] = null;
  onmessageerror: WorkerLike["onmessageerror"] = null;
  isTerminated = false;
  readonly requests: Request[] = [];
  /** What it answers at once, by the kind of request; the rest waits for {@link reply}. */
  readonly atOnce: Partial<Record<Kind, unknown>>;
  #open: Envelope[] = [];

  constructor(atOnce: Partial<Record<Kind, unknown>> = { load: "wasm", setPicture: null, dropPicture: null }) {
    this.atOnce = atOnce;
  }

  postMessage(message: unknown): void {
    // What travels is copied, as by a real worker.
    const envelope = structuredClone(message) as Envelope;
    this.requests.push(envelope.request);
    this.#open.push(envelope);
    const { kind } = envelope.request;
    if (kind in this.atOnce) queueMicrotask(() => this.#send({ id: envelope.id, result: this.atOnce[kind] as never }));
  }

  terminate(): void {
    this.isTerminated = true;
  }

  /** Answer the oldest request. */
  async reply(result: unknown): Promise<void> {
    await settle();
    this.#send({ id: this.#open[0]?.id ?? -1, result: result as never });
    await settle();
  }

  async fail(problem: string, broken: boolean): Promise<void> {
    await settle();
    this.#send({ id: this.#open[0]?.id ?? -1, problem, broken });
    await settle();
  }

  async crash(message: string): Promise<void> {
    await settle();
    const event = { message, preventDefault: () => undefined };
    this.onerror?.call(this as never, event as never);
    await settle();
  }

  kinds(): string {
    return this.requests
      .map((request) => ("picture" in request ? `${request.kind} ${request.picture}` : request.kind))
      .join(", ");
  }

  #send(reply: Reply): void {
    this.#open = this.#open.filter(({ id }) => id !== reply.id);
    if (!this.isTerminated) this.onmessage?.call(this as never, { data: reply } as never);
  }
}

/** Let everything that can go on go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
