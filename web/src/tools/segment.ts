import { promptOrRemove } from "./clicks";
import type { Tool } from "./tool";

/** Left adds to the selected object or begins one, right or Alt takes away. */
export const segmentTool: Tool = {
  name: "segment",
  marks: "clicks",
  drag: null,
  click: (session, click) => promptOrRemove(session, click, !click.negative),
};
