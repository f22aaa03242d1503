import type { StudioState, ToolName } from "../session/session";

const HINTS: Record<ToolName, string | null> = {
  segment: "Point at something and click.",
  remove: "Click on what does not belong to an object.",
  box: "Drag a box around something.",
  everything: null,
  select: "Click an object to take it up.",
  pan: "Drag the picture; press S to go on segmenting.",
};

type Situation = Pick<StudioState, "tool" | "picture" | "embedding" | "selected">;

/** What to do first with a tool, in a line; null where there is nothing to say. */
export function hintText({ tool, picture, embedding, selected }: Situation): string | null {
  const usable = picture !== null && picture.error === null && embedding !== "failed";
  return usable && selected === null ? HINTS[tool] : null;
}
