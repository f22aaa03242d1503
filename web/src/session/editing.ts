import type { Box, Click, ObjectState } from "../api/types";
import { findPresent, presentObjects } from "../annotation/objects";
import { withChoice } from "../annotation/prompts";
import { boxBetween, isInside } from "../geometry/boxes";
import { smallestAt } from "../geometry/hits";
import type { Point } from "../geometry/shapes";
import type { Desk } from "./desk";
import type { PictureDocument } from "./documents";
import type { Description, PromptEdit, PromptQueue, Question } from "./promptQueue";
import type { Recorder } from "./recorder";

export interface EditingOptions {
  desk: Desk;
  recorder: Recorder;
  queue: PromptQueue;
  /** The person asked for something that cannot be done now, and why. */
  onRefusal(text: string): void;
  /** Another object is selected, or none. */
  onSelect(): void;
}

/** The commands that change objects of the open picture. */
export class Editing {
  readonly #options: EditingOptions;
  /** Edits that undo took back before they were answered, by picture; the last one first to come back. */
  readonly #cancelled = new WeakMap<PictureDocument, PromptEdit[]>();

  constructor(options: EditingOptions) {
    this.#options = options;
  }

  click(point: Point, positive: boolean): void {
    const { desk } = this.#options;
    const document = this.#promptable(point);
    if (!document) return;
    const click: Click = { x: point.x, y: point.y, positive };
    let selected = this.#selected();
    if (selected === null && !positive) {
      selected = this.objectAt(point);
      if (selected === null) return;
      this.select(selected);
    }
    if (selected !== null) {
      this.#ask(document, selected, { kind: "click", click }, false);
      return;
    }
    const object = crypto.randomUUID();
    desk.state.setState({ selected: object });
    this.#ask(document, object, { kind: "click", click }, true);
    this.#options.onSelect();
  }

  removeClick(object: string, index: number): void {
    const { desk, queue } = this.#options;
    const { document } = desk;
    if (!document) return;
    const answered = findPresent(document.objects, object)?.prompts?.clicks ?? [];
    const waiting = queue.of(document).filter((edit) => edit.object === object);
    const edit = waiting.filter(({ question }) => question.kind === "click")[index - answered.length];
    const click = answered[index];
    if (click) this.#ask(document, object, { kind: "remove-click", click }, false);
    else if (edit) this.#giveUp(document, edit.isFirst ? waiting : [edit]);
  }

  addBox(box: Box): void {
    const { desk } = this.#options;
    const size = desk.document?.size;
    const [x0, y0, x1, y1] = box;
    const inside = size ? boxBetween({ x: x0, y: y0 }, { x: x1, y: y1 }, size) : box;
    const document = this.#promptable(null);
    if (!document || !inside || inside[2] - inside[0] < 1 || inside[3] - inside[1] < 1) return;
    this.finish();
    const object = crypto.randomUUID();
    desk.state.setState({ selected: object });
    this.#ask(document, object, { kind: "box", box: inside }, true);
    this.#options.onSelect();
  }

  chooseReading(reading: number): void {
    const { desk, recorder } = this.#options;
    const { readings } = desk.state.getState();
    const object = desk.selected;
    const candidate = readings?.candidates[reading];
    if (!desk.document || !readings || !candidate || !object?.prompts || readings.object !== object.id) return;
    if (reading === readings.chosen) return;
    const prompts = withChoice(object.prompts, reading);
    desk.outlines?.remember(object.id, candidate.counts, candidate.rings);
    const { counts, score } = candidate;
    this.forgetCancelled(desk.document);
    recorder.change(desk.document, "reading", [{ object: object.id, counts, score, prompts }]);
  }

  nextReading(): void {
    const { readings } = this.#options.desk.state.getState();
    if (readings) this.chooseReading((readings.chosen + 1) % readings.candidates.length);
  }

  select(object: string | null): void {
    const { desk } = this.#options;
    if (object === desk.state.getState().selected) return;
    this.finish();
    if (object !== null && findPresent(desk.document?.objects ?? [], object) === null) return;
    desk.state.setState({ selected: object });
    this.#options.onSelect();
  }

  objectAt(point: Point): string | null {
    const { document, outlines } = this.#options.desk;
    if (!document || !outlines || this.#options.desk.state.getState().masksHidden) return null;
    const masks = presentObjects(document.objects).filter((object) => object.visible);
    return smallestAt(
      masks.map((object) => [object.id, outlines.mask(object)] as const),
      point,
    );
  }

  finish(): void {
    const { desk, queue } = this.#options;
    const { selected } = desk.state.getState();
    if (selected === null) return;
    if (!queue.finish(selected)) this.markFinished(desk.document, selected);
    this.#letGo();
  }

  /** Note that the person went on from an object, if it is there and they had not. */
  markFinished(document: PictureDocument | null, object: string): void {
    const state = findPresent(document?.objects ?? [], object);
    if (document && state && !state.finished) {
      this.#options.recorder.amend(document, "finish", { object, finished: true });
    }
  }

  discard(): void {
    const { desk, queue } = this.#options;
    const { selected } = desk.state.getState();
    if (selected === null || !desk.document) return;
    const object = desk.selected;
    if (object?.finished !== true) this.remove(selected);
    else queue.cancel(queue.of(desk.document).filter((edit) => edit.object === selected));
    this.#letGo();
  }

  remove(object: string): void {
    const { desk, queue, recorder } = this.#options;
    const { document } = desk;
    if (!document) return;
    const waiting = queue.of(document).filter((edit) => edit.object === object);
    if (findPresent(document.objects, object)) {
      this.forgetCancelled(document);
      queue.cancel(waiting);
      recorder.change(document, "delete", [{ object, status: "deleted" }]);
    } else {
      this.#giveUp(document, waiting);
    }
    if (desk.state.getState().selected === object) this.#letGo();
  }

  /** Change what is said of an object, but not its mask. */
  describe(object: string, action: string, content: Description): void {
    const { desk, queue, recorder } = this.#options;
    const state = findPresent(desk.document?.objects ?? [], object);
    if (!desk.document || !state) {
      queue.describe(object, content);
      return;
    }
    const isNews = Object.entries(content).some(([name, value]) => state[name as keyof ObjectState] !== value);
    if (!isNews) return;
    this.forgetCancelled(desk.document);
    recorder.change(desk.document, action, [{ object, ...content }]);
  }

  undo(): void {
    const { desk, queue, recorder } = this.#options;
    const { document } = desk;
    if (!document) return;
    const waiting = queue.of(document).at(-1);
    if (waiting && waiting.made > (document.history.past.at(-1)?.made ?? 0)) this.#giveUp(document, [waiting]);
    else this.#follow(recorder.undo(document));
  }

  redo(): void {
    const { desk, queue, recorder } = this.#options;
    const { document } = desk;
    if (!document) return;
    const edit = this.#cancelled.get(document)?.pop();
    if (edit) {
      if (edit.isFirst) this.finish();
      if (edit.isFirst || queue.has(edit.object) || findPresent(document.objects, edit.object)) {
        desk.state.setState({ selected: edit.object });
        queue.add({ ...edit, made: recorder.next() });
        this.#options.onSelect();
      }
    } else {
      this.#follow(recorder.redo(document));
    }
  }

  /** Something new was done to a picture, so that what was taken back does not come again. */
  forgetCancelled(document: PictureDocument): void {
    this.#cancelled.delete(document);
  }

  get canRedo(): boolean {
    const { document } = this.#options.desk;
    if (!document) return false;
    return document.history.future.length > 0 || (this.#cancelled.get(document)?.length ?? 0) > 0;
  }

  #ask(document: PictureDocument, object: string, question: Question, isFirst: boolean): void {
    const { desk, queue, recorder } = this.#options;
    const { stickyLabel } = desk.state.getState();
    this.forgetCancelled(document);
    const content = isFirst ? { label: stickyLabel } : {};
    queue.add({ document, object, question, isFirst, content, isLast: false, made: recorder.next() });
  }

  /** Take edits back before they are answered. */
  #giveUp(document: PictureDocument, edits: readonly PromptEdit[]): void {
    const { desk, queue } = this.#options;
    const unfinished = edits.map((edit) => ({ ...edit, isLast: false })).toReversed();
    this.#cancelled.set(document, [...(this.#cancelled.get(document) ?? []), ...unfinished]);
    queue.cancel(edits);
    for (const { object, isFirst } of edits) {
      const { selected } = desk.state.getState();
      if (isFirst && selected === object) this.#letGo();
      if (!isFirst && selected === null && findPresent(document.objects, object)) this.select(object);
    }
  }

  /** Take up the object that undo or redo brought back unfinished; it never takes the place of another one. */
  #follow(states: readonly ObjectState[] | null): void {
    const { desk } = this.#options;
    for (const state of states ?? []) {
      const { selected } = desk.state.getState();
      const isOpen = state.status === "present" && !state.finished;
      if (selected === state.id && !isOpen) this.#letGo();
      else if (selected === null && isOpen && states?.length === 1) this.select(state.id);
      else if (selected === state.id) this.#options.onSelect();
    }
  }

  #letGo(): void {
    this.#options.desk.state.setState({ selected: null });
    this.#options.onSelect();
  }

  /** The selected object, if it is there or its first click waits. */
  #selected(): string | null {
    const { desk, queue } = this.#options;
    const { selected } = desk.state.getState();
    return selected !== null && (desk.selected !== null || queue.has(selected)) ? selected : null;
  }

  /** The open picture, if its objects can be asked for, at that point. */
  #promptable(point: Point | null): PictureDocument | null {
    const { desk, onRefusal } = this.#options;
    const { decoder, embedding } = desk.state.getState();
    const { document } = desk;
    if (!document || document.picture.error !== null) return null;
    if (point && document.size && !isInside(point, document.size)) return null;
    if (decoder === "failed") {
      onRefusal("The decoder could not be started, so that clicks cannot be answered.");
      return null;
    }
    if (embedding === "failed") {
      onRefusal(
        "This picture could not be encoded, so that clicks cannot be answered. Open it again to try once more.",
      );
      return null;
    }
    return document;
  }
}
