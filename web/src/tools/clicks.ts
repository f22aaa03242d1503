import type { Click, ObjectState } from "../api/types";
import { nearestPoint } from "../geometry/hits";
import type { Point } from "../geometry/shapes";
import type { Session, StudioState } from "../session/session";
import type { ToolClick } from "./tool";

/** A click of the selected object. */
export interface FoundClick {
  object: string;
  index: number;
  click: Click;
}

export function selectedObject(state: Pick<StudioState, "selected" | "objects">): ObjectState | null {
  if (state.selected === null) return null;
  return state.objects.find((object) => object.id === state.selected) ?? null;
}

/** The click of the selected object nearest to a point, within `reach` pixels of the picture; null if there is none. */
export function clickAt(
  state: Pick<StudioState, "selected" | "objects">,
  point: Point,
  reach: number,
): FoundClick | null {
  const object = selectedObject(state);
  const clicks = object?.prompts?.clicks ?? [];
  const index = nearestPoint(clicks, point, reach);
  const click = index === null ? undefined : clicks[index];
  return object && click && index !== null ? { object: object.id, index, click } : null;
}

/** What clicks do where they are prompts: one on a click of the selected object removes it, any other is a new one. */
export function promptOrRemove(session: Session, { point, reach }: ToolClick, positive: boolean): Click | null {
  const found = clickAt(session.state.getState(), point, reach);
  if (found) {
    session.removeClick(found.object, found.index);
    return null;
  }
  session.click(point, positive);
  return { ...point, positive };
}
