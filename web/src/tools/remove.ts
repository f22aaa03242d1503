import { promptOrRemove } from "./clicks";
import type { Tool } from "./tool";

/** Every click takes away. */
export const removeTool: Tool = {
  name: "remove",
  marks: "clicks",
  drag: null,
  click: (session, click) => promptOrRemove(session, click, false),
};
