import type { Tool } from "./tool";

/** Dragging moves the picture; clicks do nothing. */
export const panTool: Tool = { name: "pan", marks: null, drag: null, click: () => null };
