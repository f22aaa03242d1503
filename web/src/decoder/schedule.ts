/**
 * How a newer call stands to one that waits: it makes the older one needless, it is the same, or neither. What is
 * needless resolves to null; what is the same gets the same answer.
 */
export type Relation = "replaces" | "repeats" | "follows";

/** A kind of call. Those of the first lanes go first; within a lane the older ones do. */
export interface Lane<T> {
  readonly rank: number;
  relate(newer: T, waiting: T): Relation;
}

interface Waiting {
  lane: Lane<never>;
  subject: unknown;
  run: () => Promise<unknown>;
  promise: Promise<unknown>;
  resolve: (result: unknown) => void;
  reject: (reason: unknown) => void;
}

/** Lets one call be computed at a time, and keeps the others waiting as long as they are of use. */
export class Schedule {
  #waiting: Waiting[] = [];
  #isRunning = false;

  /**
   * Call something when its turn comes.
   *
   * @param subject - what the call is about, by which the lane compares calls.
   * @returns its result, or null where a newer call made it needless before its turn.
   */
  add<T, R>(lane: Lane<T>, subject: T, run: () => Promise<R>): Promise<R | null> {
    for (const waiting of [...this.#waiting]) {
      if (waiting.lane !== (lane as Lane<never>)) continue;
      const relation = lane.relate(subject, waiting.subject as T);
      if (relation === "repeats") return waiting.promise as Promise<R | null>;
      if (relation === "replaces") {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        waiting.resolve(null);
      }
    }
    const waiting = { lane: lane as Lane<never>, subject, run } as Waiting;
    waiting.promise = new Promise((resolve, reject) => Object.assign(waiting, { resolve, reject }));
    this.#waiting.push(waiting);
    void this.#next();
    return waiting.promise as Promise<R | null>;
  }

  /** Reject all calls that wait; the one being computed ends by itself. */
  clear(reason: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }

  async #next(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let first = this.#takeFirst(); first !== undefined; first = this.#takeFirst()) {
      await first.run().then(first.resolve, first.reject);
    }
    this.#isRunning = false;
  }

  #takeFirst(): Waiting | undefined {
    const rank = Math.min(...this.#waiting.map(({ lane }) => lane.rank));
    const index = this.#waiting.findIndex(({ lane }) => lane.rank === rank);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }
}
