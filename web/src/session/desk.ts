import type { StoreApi } from "zustand/vanilla";
import type { Click, ObjectState } from "../api/types";
import { findPresent, presentObjects } from "../annotation/objects";
import { loneClick, sameClick } from "../annotation/prompts";
import type { Answer, Candidate } from "../decoder/decoder";
import type { PictureDocument } from "./documents";
import type { Feed } from "./feed";
import { Outlines } from "./outlines";
import type { PromptQueue } from "./promptQueue";
import type { Readings, StudioState } from "./session";

/** The readings of a lone click, as the decoder gave them. */
interface KnownReadings {
  object: string;
  click: Click;
  candidates: Candidate[];
}

/** The picture that lies open, and what the page is shown of it. */
export class Desk {
  readonly state: StoreApi<StudioState>;
  #document: PictureDocument | null = null;
  #outlines: Outlines | null = null;
  #readings: KnownReadings | null = null;

  constructor(state: StoreApi<StudioState>) {
    this.state = state;
  }

  get document(): PictureDocument | null {
    return this.#document;
  }

  /** Masks of the open picture; null until its size is known. */
  get outlines(): Outlines | null {
    const size = this.#document?.size;
    if (!size) return null;
    return (this.#outlines ??= new Outlines(size));
  }

  get selected(): ObjectState | null {
    return findPresent(this.#document?.objects ?? [], this.state.getState().selected);
  }

  open(document: PictureDocument): void {
    this.#document = document;
    this.#outlines = null;
    this.#readings = null;
  }

  /** Take what the decoder answered for an object, for whoever draws it or chooses among the readings. */
  learn(document: PictureDocument, object: ObjectState, answer: Answer): void {
    if (document !== this.#document) return;
    const drawn = answer.candidates.find((candidate) => candidate.counts === object.counts);
    if (drawn) this.outlines?.remember(object.id, drawn.counts, drawn.rings);
    const click = loneClick(object.prompts);
    if (click) this.#readings = { object: object.id, click, candidates: answer.candidates };
  }

  /** Bring the state in line with the document, what waits for an answer, and the decoder. */
  publish(queue: PromptQueue, feed: Feed): void {
    const document = this.#document;
    if (!document) return;
    const edits = queue.of(document);
    const before = this.state.getState();
    const readings = this.#currentReadings(queue);
    this.state.setState({
      picture: same(before.picture, document.picture),
      pictures: withPicture(before.pictures, document),
      objects: presentObjects(document.objects),
      waiting: same(
        before.waiting,
        edits.map(({ object, question }) => ({
          object,
          click: question.kind === "click" ? question.click : null,
          box: question.kind === "box" ? question.box : null,
        })),
      ),
      readings: sameReadings(before.readings, readings),
      decoding: queue.isDecoding,
      embedding: document.picture.error === null ? feed.state(document.id) : "none",
      objectsState: document.state,
      marked: findPresent(document.objects, before.marked)?.id ?? null,
      canUndo: edits.length > 0 || document.history.past.length > 0,
    });
  }

  /** The selected object, if it has readings that are not known; asking for them makes them known. */
  lacksReadings(queue: PromptQueue): ObjectState | null {
    const object = this.selected;
    const model = this.state.getState().project?.model?.fingerprint;
    if (!object || object.model !== model || !loneClick(object.prompts) || queue.has(object.id)) return null;
    return this.#currentReadings(queue) === null ? object : null;
  }

  #currentReadings(queue: PromptQueue): Readings | null {
    const object = this.selected;
    const click = loneClick(object?.prompts ?? null);
    const known = this.#readings;
    if (!object || !click || known?.object !== object.id || queue.has(object.id)) return null;
    if (!sameClick(known.click, click) || known.candidates.length < 2) return null;
    const chosen = known.candidates.findIndex((candidate) => candidate.counts === object.counts);
    const choice = object.prompts?.choice ?? null;
    const index = choice !== null && known.candidates[choice]?.counts === object.counts ? choice : chosen;
    return { object: object.id, candidates: known.candidates, chosen: Math.max(index, 0) };
  }
}

/** The list with a picture as its document has it; the same list if nothing about it is new. */
export function withPicture(pictures: StudioState["pictures"], { picture }: PictureDocument): StudioState["pictures"] {
  const index = pictures.findIndex(({ id }) => id === picture.id);
  const listed = pictures[index];
  if (!listed || same(listed, picture) === listed) return pictures;
  return pictures.with(index, picture);
}

function sameReadings(before: Readings | null, after: Readings | null): Readings | null {
  const isSame = before?.candidates === after?.candidates && before?.chosen === after?.chosen;
  return isSame && before?.object === after?.object ? before : after;
}

/** The earlier value if the later one says the same, so that nothing is drawn again. */
function same<T>(before: T, after: T): T {
  return before === after || JSON.stringify(before) === JSON.stringify(after) ? before : after;
}
