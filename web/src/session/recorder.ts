import type { Change, ObjectState } from "../api/types";
import { amend, record, restored, stepBack, stepForward, type Entry } from "../annotation/history";
import { findObject, nextState, presentObjects, putObjects, type Content } from "../annotation/objects";
import type { PictureDocument } from "./documents";

/** What is to become of an object; `object` is its id, and one that is not there yet needs all of its content. */
export type Edit = { object: string } & (Partial<Content> | Content);

export interface RecorderOptions {
  save(picture: number, changes: readonly Change[]): void;
  /** A document's objects or history were replaced. */
  onChange(document: PictureDocument): void;
}

/** Makes changes: each becomes a new version, a step of the history and something to save, in one go. */
export class Recorder {
  readonly #options: RecorderOptions;
  #made = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The number of the next thing that can be undone. */
  next(): number {
    return ++this.#made;
  }

  /** Change objects in one step that undo takes back. */
  change(document: PictureDocument, action: string, edits: readonly Edit[], made = this.next()): void {
    const entries = edits.map((edit) => entryOf(document, edit));
    if (entries.length === 0) return;
    document.history = record(document.history, { entries, made });
    this.#commit(document, action, entries);
  }

  /** Change an object as part of the last step that changed it. */
  amend(document: PictureDocument, action: string, edit: Edit): void {
    const entry = entryOf(document, edit);
    document.history = amend(document.history, entry.after);
    this.#commit(document, action, [entry]);
  }

  /** Returns the objects as they are now, or null if there is nothing to undo. */
  undo(document: PictureDocument): ObjectState[] | null {
    const back = stepBack(document.history);
    if (!back) return null;
    document.history = back.history;
    return this.#restore(document, "undo", back.step.entries.toReversed(), (entry) => entry.before);
  }

  /** Returns the objects as they are now, or null if there is nothing to do again. */
  redo(document: PictureDocument): ObjectState[] | null {
    const forward = stepForward(document.history);
    if (!forward) return null;
    document.history = forward.history;
    return this.#restore(document, "redo", forward.step.entries, (entry) => entry.after);
  }

  #restore(
    document: PictureDocument,
    action: string,
    entries: readonly Entry[],
    wanted: (entry: Entry) => ObjectState | null,
  ): ObjectState[] {
    const restores = entries.flatMap((entry) => {
      const current = findObject(document.objects, entry.object);
      return current ? [{ object: entry.object, before: current, after: restored(current, wanted(entry)) }] : [];
    });
    this.#commit(document, action, restores);
    return restores.map((entry) => entry.after);
  }

  #commit(document: PictureDocument, action: string, entries: readonly Entry[]): void {
    const at = new Date().toISOString();
    const states = entries.map((entry) => entry.after);
    const before = presentObjects(document.objects).length;
    document.objects = putObjects(document.objects, states);
    const added = presentObjects(document.objects).length - before;
    document.picture = { ...document.picture, objects: document.picture.objects + added };
    document.epoch++;
    const changes = states.map((state) => ({ id: crypto.randomUUID(), at, action, state }));
    if (changes.length > 0) this.#options.save(document.id, changes);
    this.#options.onChange(document);
  }
}

function entryOf(document: PictureDocument, { object, ...content }: Edit): Entry {
  const before = findObject(document.objects, object);
  return { object, before, after: nextState(object, before, { ...before, ...content } as Content) };
}
