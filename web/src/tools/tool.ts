import type { Box, Click } from "../api/types";
import type { Point, Size } from "../geometry/shapes";
import type { Session, ToolName } from "../session/session";

/** A click as a tool gets it. */
export interface ToolClick {
  /** In pixels of the picture, inside it. */
  point: Point;
  /** How many pixels of the picture the pointer may miss a small thing by. */
  reach: number;
  /** By the right button, a pen's eraser, or with Alt. */
  negative: boolean;
}

/** What a tool does with a drag. Points are in pixels of the picture and may lie outside it. */
export interface ToolDrag {
  /** Returns the box that the session was asked to preview, if any. */
  move(session: Session, picture: Size, from: Point, to: Point): Box | null;
  /** Returns the box that the session was given, if any. */
  drop(session: Session, picture: Size, from: Point, to: Point): Box | null;
  cancel(session: Session): void;
}

/** One way of working with the pointer. Tools keep nothing: all state is the session's. */
export interface Tool {
  readonly name: ToolName;
  /** What a click would act on is marked while the pointer is over it: clicks of the selected object, or objects. */
  readonly marks: "clicks" | "objects" | null;
  /** What its drags do; null if dragging moves the picture. */
  readonly drag: ToolDrag | null;
  /** Returns the prompt that the session was given, if any. */
  click(session: Session, click: ToolClick): Click | null;
}
