import type { Point } from "../geometry/shapes";

/** Further than this from where it went down, in CSS pixels, a pointer drags. Fingers are less steady. */
const DRAG_DISTANCE = { mouse: 4, pen: 4, touch: 10 };

const LEFT = 0;
const MIDDLE = 1;
const RIGHT = 2;
const PEN_ERASER = 5;

/** A pointer's event as far as gestures need it; x and y in CSS pixels from the stage's corner. */
export interface PointerInput extends Point {
  id: number;
  kind: "mouse" | "pen" | "touch";
  /** As in PointerEvent: 0 left or touch, 1 middle, 2 right, 5 a pen's eraser. */
  button: number;
  /** A key is held that turns a left click into a right one. */
  inverted: boolean;
  /** The event's timeStamp in milliseconds. */
  time: number;
}

export interface ClickKind {
  /** By the right button, the eraser or with the inverting key. */
  negative: boolean;
  /** The second of a double click. */
  again: boolean;
}

/** What gestures come to. Points are in CSS pixels from the stage's corner. */
export interface GestureTarget {
  /** Where the pointer is without anything being dragged; null once it has left or something else goes on. */
  hover(at: Point | null, time: number): void;
  click(at: Point, kind: ClickKind, time: number): void;
  /** Asked when the left button or a finger begins to drag: whether the tool takes the drag, or it moves the picture. */
  takesDrag(): boolean;
  drag(from: Point, to: Point, time: number): void;
  drop(from: Point, to: Point, time: number): void;
  cancelDrag(): void;
  pan(dx: number, dy: number): void;
  zoom(at: Point, factor: number): void;
}

type State =
  | { name: "idle" }
  | { name: "pressed"; input: PointerInput; again: boolean }
  | { name: "dragging"; input: PointerInput; last: Point }
  | { name: "panning"; input: PointerInput; last: Point }
  | { name: "pinching"; fingers: Map<number, Point> }
  /** Held, but of no further effect until it is let go. */
  | { name: "spent"; id: number };

const IDLE: State = { name: "idle" };

/**
 * Tells clicks, drags, panning and pinching apart. Knows neither the page nor the tools.
 *
 * The left button clicks, or drags what the tool drags and else the picture; the right one clicks negatively; the middle
 * one, and the left one while Space is held, move the picture. Two fingers move and zoom whatever was begun with one.
 */
export class Gestures {
  private state: State = IDLE;
  private spaceHeld = false;

  constructor(private readonly target: GestureTarget) {}

  /** Whether the picture is being moved, or would be by pressing now. */
  get pans(): boolean {
    return this.spaceHeld || this.state.name === "panning" || this.state.name === "pinching";
  }

  /** Whether something is under way that Escape should stop. */
  get drags(): boolean {
    return this.state.name === "dragging";
  }

  /** Whether a button or finger is down. */
  get busy(): boolean {
    return this.state.name !== "idle";
  }

  space(held: boolean): void {
    this.spaceHeld = held;
  }

  down(input: PointerInput): void {
    if (input.kind === "touch" && this.joinFingers(input)) return;
    if (this.state.name !== "idle") return;
    const pans = input.button === MIDDLE || (this.spaceHeld && input.button === LEFT);
    if (pans) this.startPanning(input);
    else if (input.button === LEFT || input.button === RIGHT || input.button === PEN_ERASER)
      this.state = { name: "pressed", input, again: false };
  }

  /** The press that has just gone down is the second of a double click. */
  pressedAgain(): void {
    if (this.state.name === "pressed") this.state.again = true;
  }

  move(input: PointerInput): void {
    const state = this.state;
    switch (state.name) {
      case "idle":
        if (input.kind !== "touch") this.target.hover(this.spaceHeld ? null : at(input), input.time);
        return;
      case "pressed":
        if (state.input.id === input.id) this.movePressed(state.input, input);
        return;
      case "dragging":
        if (state.input.id !== input.id) return;
        state.last = at(input);
        this.target.drag(at(state.input), state.last, input.time);
        return;
      case "panning":
        if (state.input.id !== input.id) return;
        this.target.pan(input.x - state.last.x, input.y - state.last.y);
        state.last = at(input);
        return;
      case "pinching":
        this.movePinching(state.fingers, input);
    }
  }

  up(input: PointerInput): void {
    const state = this.state;
    if (state.name === "pinching") {
      this.liftFinger(state.fingers, input.id);
      return;
    }
    if (state.name === "idle" || this.holder() !== input.id) return;
    this.state = IDLE;
    if (state.name === "pressed") {
      const { button, inverted } = state.input;
      this.target.click(at(state.input), { negative: button !== LEFT || inverted, again: state.again }, input.time);
    } else if (state.name === "dragging") this.target.drop(at(state.input), at(input), input.time);
    if (input.kind !== "touch") this.target.hover(this.spaceHeld ? null : at(input), input.time);
  }

  /** The browser took a pointer away. */
  cancel(id: number): void {
    if (this.state.name === "pinching") this.liftFinger(this.state.fingers, id);
    else if (this.holder() === id) this.abandon(IDLE);
  }

  /** Escape: what is being dragged is given up; the button that is still down does nothing more. */
  escape(): void {
    const id = this.holder();
    if (id !== null) this.abandon({ name: "spent", id });
  }

  leave(time: number): void {
    if (this.state.name === "idle" || this.state.name === "pressed") this.target.hover(null, time);
  }

  private movePressed(start: PointerInput, now: PointerInput): void {
    if (Math.hypot(now.x - start.x, now.y - start.y) <= DRAG_DISTANCE[start.kind]) {
      if (start.kind !== "touch") this.target.hover(at(now), now.time);
      return;
    }
    this.target.hover(null, now.time);
    if (start.button !== LEFT) this.state = { name: "spent", id: start.id };
    else if (this.target.takesDrag()) {
      this.state = { name: "dragging", input: start, last: at(now) };
      this.target.drag(at(start), at(now), now.time);
    } else {
      this.state = { name: "panning", input: start, last: at(now) };
      this.target.pan(now.x - start.x, now.y - start.y);
    }
  }

  private startPanning(input: PointerInput): void {
    this.target.hover(null, input.time);
    this.state = { name: "panning", input, last: at(input) };
  }

  /** A further finger turns what the first one began into a pinch; true if it did, or there were two already. */
  private joinFingers(input: PointerInput): boolean {
    const state = this.state;
    if (state.name === "pinching") {
      if (state.fingers.size < 2) state.fingers.set(input.id, at(input));
      return true;
    }
    if (state.name === "idle" || state.name === "spent" || state.input.kind !== "touch") return false;
    const first = state.name === "pressed" ? at(state.input) : state.last;
    const fingers = new Map([
      [state.input.id, first],
      [input.id, at(input)],
    ]);
    this.abandon({ name: "pinching", fingers });
    return true;
  }

  private movePinching(fingers: Map<number, Point>, input: PointerInput): void {
    if (!fingers.has(input.id)) return;
    const before = [...fingers.values()];
    fingers.set(input.id, at(input));
    const after = [...fingers.values()];
    const was = middle(before);
    const is = middle(after);
    this.target.pan(is.x - was.x, is.y - was.y);
    const spread = distance(before);
    if (spread > 0 && distance(after) > 0) this.target.zoom(is, distance(after) / spread);
  }

  private liftFinger(fingers: Map<number, Point>, id: number): void {
    fingers.delete(id);
    if (fingers.size === 0) this.state = IDLE;
  }

  private holder(): number | null {
    const state = this.state;
    if (state.name === "spent") return state.id;
    return state.name === "idle" || state.name === "pinching" ? null : state.input.id;
  }

  private abandon(next: State): void {
    const dragged = this.state.name === "dragging";
    this.state = next;
    if (dragged) this.target.cancelDrag();
  }
}

function at(input: Point): Point {
  return { x: input.x, y: input.y };
}

function middle(points: readonly Point[]): Point {
  const sum = points.reduce((total, point) => ({ x: total.x + point.x, y: total.y + point.y }), { x: 0, y: 0 });
  return { x: sum.x / points.length, y: sum.y / points.length };
}

/** Between the first two; 0 where there is only one. */
function distance(points: readonly Point[]): number {
  const [a, b] = points;
  return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
}
