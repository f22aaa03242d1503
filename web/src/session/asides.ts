import type { StoreApi } from "zustand/vanilla";
import type { ObjectState } from "../api/types";
import { nextOrder, type Content } from "../annotation/objects";
import type { KeptAside, Outbox } from "../sync/outbox";
import { withPicture } from "./desk";
import type { PictureDocument } from "./documents";
import type { Recorder } from "./recorder";
import type { StudioState } from "./session";

/** What was done to one object here, in one go, that the server did not take. */
export interface SetAsideObject {
  /** Tells it from the others. */
  id: string;
  picture: number;
  /** The object as it was in the end. */
  state: ObjectState;
  /** When it was made, as ISO 8601. */
  at: string;
  /** Why it was not taken, in a sentence. */
  reason: string;
  changes: readonly KeptAside[];
  /** Something is being made of it. */
  isBusy: boolean;
}

export interface AsidesOptions {
  outbox: Outbox;
  state: StoreApi<StudioState>;
  recorder: Recorder;
  /** Read a picture's objects, whether it is shown or not. */
  load(picture: number): Promise<PictureDocument>;
  onFault(error: unknown): void;
}

/** What the server did not take, and what becomes of it. Nothing of it goes before something else keeps it. */
export class Asides {
  readonly #options: AsidesOptions;
  /** Those of which something is being made, by their ids, with their pictures. */
  readonly #busy = new Map<string, number>();

  constructor(options: AsidesOptions) {
    this.#options = options;
  }

  /** Whether a picture's objects are waited for here. */
  needs(picture: number): boolean {
    return [...this.#busy.values()].includes(picture);
  }

  /** Look again at what is set aside, such as after another tab has done so. */
  async refresh(): Promise<void> {
    const { outbox, state, onFault } = this.#options;
    const project = state.getState().project?.id;
    if (project === undefined) return;
    try {
      const aside = byObject(await outbox.setAside(project));
      state.setState({ aside: aside.map((one) => ({ ...one, isBusy: this.#busy.has(one.id) })) });
    } catch (error) {
      onFault(error);
    }
  }

  /**
   * Make an object what it was to be, or another object of that; either can be undone in its picture. Waits for the
   * server where the picture's objects are not here. Does nothing for what is not there any more.
   */
  async restore(id: string, as: "itself" | "new"): Promise<void> {
    const { state, recorder, load, onFault } = this.#options;
    const found = this.#find(id);
    if (!found || this.#busy.has(id)) return;
    this.#setBusy(found, true);
    try {
      const document = await load(found.picture);
      const content: Content = found.state;
      if (as === "itself") {
        recorder.change(document, "try again", [{ ...content, object: found.state.id }]);
      } else {
        const order = nextOrder(document.objects);
        recorder.change(document, "keep", [{ ...content, object: crypto.randomUUID(), status: "present", order }]);
      }
      state.setState(({ pictures }) => ({ pictures: withPicture(pictures, document) }));
      await this.#forget(found);
    } catch (error) {
      onFault(error);
    } finally {
      this.#setBusy(found, false);
    }
  }

  async discard(id: string): Promise<void> {
    const found = this.#find(id);
    try {
      if (found) await this.#forget(found);
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #setBusy({ id, picture }: SetAsideObject, isBusy: boolean): void {
    if (isBusy) this.#busy.set(id, picture);
    else this.#busy.delete(id);
    this.#options.state.setState(({ aside }) => ({
      aside: aside.map((one) => (one.id === id ? { ...one, isBusy } : one)),
    }));
  }

  #find(id: string): SetAsideObject | undefined {
    return this.#options.state.getState().aside.find((one) => one.id === id);
  }

  async #forget({ changes }: SetAsideObject): Promise<void> {
    await this.#options.outbox.discard(changes.map((change) => change.key));
    await this.refresh();
  }
}

/** Changes of an object that were set aside together are one matter, of which the last holds all. */
function byObject(changes: readonly KeptAside[]): SetAsideObject[] {
  const found = new Map<string, SetAsideObject>();
  for (const aside of changes) {
    const { picture, reason, group } = aside;
    const { id: change, state, at } = aside.change;
    const id = group ?? change;
    const before = found.get(id)?.changes ?? [];
    found.set(id, { id, picture, state, at, reason, changes: [...before, aside], isBusy: false });
  }
  return [...found.values()];
}
