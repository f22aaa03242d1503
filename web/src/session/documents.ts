import type { ObjectState, OpenPicture, Picture } from "../api/types";
import { forget, NO_HISTORY, renameLabels, type History } from "../annotation/history";
import { takeUpHistory, type KeptHistory } from "../annotation/keptHistory";
import { findObject, presentObjects, sameContent, sortObjects, type Objects } from "../annotation/objects";
import type { Size } from "../geometry/shapes";
import type { Waiting } from "../sync/outbox";
import type { ObjectsState } from "./session";

export function sizeOf({ width, height }: Picture): Size | null {
  return width === null || height === null ? null : { width, height };
}

/** One picture as this page knows it. What it holds is replaced, never changed. */
export class PictureDocument {
  objects: Objects = [];
  history: History = NO_HISTORY;
  /** Whether the server's objects have come, or cannot be had. */
  state: ObjectsState = "loading";
  /** Rises with each change and each answer to one, so that an answer of the server can be known to be outdated. */
  epoch = 0;

  constructor(public picture: Picture) {}

  get isLoaded(): boolean {
    return this.state === "loaded";
  }

  get id(): number {
    return this.picture.id;
  }

  /** Width and height, as soon as they are known. */
  get size(): Size | null {
    return sizeOf(this.picture);
  }

  /**
   * Take the server's objects over, with what waits to be sent on top. Steps of objects that were changed elsewhere can be
   * undone no more.
   *
   * @param isQuiet - whether nothing was changed or confirmed here since the server was asked; else what is newer here stays.
   */
  merge(opened: OpenPicture, waiting: readonly Waiting[], isQuiet: boolean): void {
    const merged = new Map(opened.objects.map((object) => [object.id, object]));
    const take = (state: ObjectState) => {
      if (state.version > (merged.get(state.id)?.version ?? 0)) merged.set(state.id, state);
    };
    for (const { change } of waiting) take(change.state);
    if (!isQuiet) this.objects.forEach(take);
    for (const before of this.objects) {
      const now = merged.get(before.id);
      if (!now || now.version !== before.version || !sameContent(now, before)) {
        this.history = forget(this.history, before.id);
      }
    }
    this.objects = sortObjects([...merged.values()].map((state) => findSame(this.objects, state)));
    this.picture = { ...opened.picture, objects: presentObjects(this.objects).length };
    this.state = "loaded";
  }

  /** Undo reaches back before this page, as far as objects are what they were. */
  takeUp(kept: KeptHistory): void {
    this.history = takeUpHistory(kept, this.history, this.objects);
  }

  /** Follow what the server has done to all objects with these labels, so that they can be changed and undone on. */
  renameLabels(renamed: ReadonlyMap<string, string>): void {
    this.history = renameLabels(this.history, renamed);
    this.objects = this.objects.map((object) => {
      const label = renamed.get(object.label ?? "");
      return label === undefined ? object : { ...object, label, version: object.version + 1 };
    });
    this.epoch++;
  }
}

/** The very object that is there already, if it says the same. */
function findSame(objects: Objects, state: ObjectState): ObjectState {
  const known = findObject(objects, state.id);
  return known && known.version === state.version && sameContent(known, state) ? known : state;
}

const MOST_DOCUMENTS = 200;

/** The pictures that were opened last, with their histories. */
export class Documents {
  /** The longest unused first. */
  readonly #documents = new Map<number, PictureDocument>();

  get all(): Iterable<PictureDocument> {
    return this.#documents.values();
  }

  get(picture: number): PictureDocument | null {
    return this.#documents.get(picture) ?? null;
  }

  /**
   * The document of a picture, new if need be; those that were not used for long are given up.
   *
   * @param isNeeded - whether a picture must be kept, whatever its age.
   */
  open(picture: Picture, isNeeded: (picture: number) => boolean): PictureDocument {
    const document = this.#documents.get(picture.id) ?? new PictureDocument(picture);
    this.#documents.delete(picture.id);
    this.#documents.set(picture.id, document);
    for (const id of this.#documents.keys()) {
      if (this.#documents.size <= MOST_DOCUMENTS) break;
      if (id !== picture.id && !isNeeded(id)) this.#documents.delete(id);
    }
    return document;
  }
}
