import type { StudioState } from "../session/session";
import type { Marked } from "../tools/hand";

/** The look of the pointer, by name; the style sheet says what each is. */
export type CursorName = "arrow" | "point" | "cross" | "plus" | "minus" | "open-hand" | "closed-hand";

/** What the pointer looks like, so that it tells what pressing would do. */
export function cursorFor(
  state: Pick<StudioState, "tool" | "hoveredProposal">,
  marked: Marked,
  pointer: { pans: boolean; busy: boolean; inverted: boolean },
): CursorName {
  if (pointer.pans) return pointer.busy ? "closed-hand" : "open-hand";
  if (marked.click) return "point";
  switch (state.tool) {
    case "pan":
      return "open-hand";
    case "select":
      return marked.object === null ? "arrow" : "point";
    case "everything":
      return state.hoveredProposal === null ? "arrow" : pointer.inverted ? "minus" : "point";
    case "remove":
      return "minus";
    case "segment":
      return pointer.inverted ? "minus" : "plus";
    case "box":
      return pointer.inverted ? "minus" : "cross";
  }
}
