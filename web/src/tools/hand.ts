import type { Box, Click } from "../api/types";
import { isInside } from "../geometry/boxes";
import type { Point, Size } from "../geometry/shapes";
import { toPicture, type Viewport } from "../geometry/viewport";
import type { Session } from "../session/session";
import { clickAt, type FoundClick } from "./clicks";
import type { ClickKind, GestureTarget } from "./gestures";
import type { Tool } from "./tool";
import { tools } from "./tools";

/** A click within this distance of a point on the screen, in CSS pixels, means that point. */
const CLICK_REACH = 8;

/** The stage as far as the hand needs it. */
export interface HandStage {
  readonly viewport: Viewport;
  /** Size of the picture; null while none is shown. */
  readonly picture: Size | null;
  panBy(dx: number, dy: number): void;
  zoomAt(screen: Point, factor: number): void;
}

export interface HandListener {
  /** The session was asked for a preview by a pointer's event of this time. */
  asked(question: Point | Box, time: number): void;
  /** The session was given a click or a box by a pointer's event of this time. */
  prompted(prompt: Click | Box, time: number): void;
  /** What the pointer is over, or the box that is dragged, has changed. */
  changed(): void;
}

/** What is under the pointer and would be acted upon by a click. */
export interface Marked {
  click: FoundClick | null;
  object: string | null;
}

const NOTHING: Marked = { click: null, object: null };

/** Carries gestures on the screen to the session, by way of the chosen tool. */
export class Hand implements GestureTarget {
  /** Where the pointer is, in CSS pixels from the stage's corner; null while it is elsewhere or busy. */
  pointer: Point | null = null;
  marked: Marked = NOTHING;
  /** The corners of a drag under way, in pixels of the picture. */
  dragged: { from: Point; to: Point } | null = null;
  /** What the session was told last, in pixels of the picture. */
  #point: Point | null = null;
  /** What the first of two clicks did, for the second to undo. */
  #first: { under: string | null; prompted: boolean } | null = null;

  constructor(
    private readonly session: Session,
    private readonly stage: HandStage,
    private readonly listener: HandListener,
  ) {}

  get tool(): Tool {
    return tools[this.session.state.getState().tool];
  }

  hover(at: Point | null, time: number): void {
    this.pointer = at;
    const point = at && this.inside(at);
    // The browser tells the same movement more than once.
    if (point && point.x === this.#point?.x && point.y === this.#point.y) return;
    this.#point = point;
    if (this.#point) this.listener.asked(this.#point, time);
    this.session.pointAt(this.#point);
    this.mark();
  }

  /** The picture may have moved away under the resting pointer. */
  pointAgain(time: number): void {
    if (this.pointer !== null) this.hover(this.pointer, time);
  }

  /** Look again at what is under the pointer, after objects or the tool have changed. */
  mark(): void {
    const point = this.#point;
    const { marks } = this.tool;
    const marked: Marked = {
      click: point && marks === "clicks" ? clickAt(this.session.state.getState(), point, this.reach) : null,
      object: point && marks === "objects" ? this.session.objectAt(point) : null,
    };
    const same = marked.object === this.marked.object && sameClick(marked.click, this.marked.click);
    if (same) return;
    const before = this.marked.object;
    this.marked = marked;
    if (before !== marked.object) {
      if (marked.object !== null) this.session.mark(marked.object, "stage");
      else if (before !== null) this.session.unmark(before, "stage");
    }
    this.listener.changed();
  }

  click(at: Point, kind: ClickKind, time: number): void {
    const point = this.inside(at);
    if (kind.again) {
      if (!kind.negative) this.takeUp();
      return;
    }
    this.#first = null;
    if (!point) {
      if (this.tool.marks === "objects") this.session.select(null);
      return;
    }
    const { selected } = this.session.state.getState();
    const under = this.session.objectAt(point);
    const asked = this.tool.click(this.session, { point, reach: this.reach, negative: kind.negative });
    this.#first = { under: under === selected ? null : under, prompted: asked !== null };
    if (asked) this.listener.prompted(asked, time);
  }

  takesDrag(): boolean {
    return this.tool.drag !== null && this.stage.picture !== null;
  }

  drag(from: Point, to: Point, time: number): void {
    const { picture } = this.stage;
    if (!picture) return;
    this.dragged = { from: this.toPicture(from), to: this.toPicture(to) };
    const asked = this.tool.drag?.move(this.session, picture, this.dragged.from, this.dragged.to);
    if (asked) this.listener.asked(asked, time);
    this.listener.changed();
  }

  drop(from: Point, to: Point, time: number): void {
    const { picture } = this.stage;
    this.dragged = null;
    this.listener.changed();
    if (!picture) return;
    const asked = this.tool.drag?.drop(this.session, picture, this.toPicture(from), this.toPicture(to));
    if (asked) this.listener.prompted(asked, time);
  }

  cancelDrag(): void {
    this.dragged = null;
    this.tool.drag?.cancel(this.session);
    this.listener.changed();
  }

  pan(dx: number, dy: number): void {
    this.stage.panBy(dx, dy);
  }

  zoom(at: Point, factor: number): void {
    this.stage.zoomAt(at, factor);
  }

  /** A double click on another object: what its first click did is undone, and the object is taken up. */
  private takeUp(): void {
    const first = this.#first;
    this.#first = null;
    if (!first?.under) return;
    if (first.prompted) this.session.undo();
    this.session.select(first.under);
  }

  private get reach(): number {
    return CLICK_REACH / this.stage.viewport.scale;
  }

  private toPicture(screen: Point): Point {
    return toPicture(this.stage.viewport, screen);
  }

  private inside(screen: Point): Point | null {
    const point = this.toPicture(screen);
    return this.stage.picture && isInside(point, this.stage.picture) ? point : null;
  }
}

function sameClick(a: FoundClick | null, b: FoundClick | null): boolean {
  return a?.object === b?.object && a?.index === b?.index;
}
