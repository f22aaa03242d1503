import type { ToolName } from "../session/session";

/** What to do first with a tool, in a line. */
export const HINTS: Record<ToolName, string> = {
  segment: "Point at something and click.",
  remove: "Click on what does not belong to an object.",
  box: "Drag a box around something.",
  everything: "Click a mask to keep it; right-click to reject it.",
  select: "Click an object to take it up.",
  pan: "Drag the picture; press S to go on segmenting.",
};
