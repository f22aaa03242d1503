import type { ToolName } from "../session/session";
import { boxTool } from "./box";
import { everythingTool } from "./everything";
import { panTool } from "./pan";
import { removeTool } from "./remove";
import { segmentTool } from "./segment";
import { selectTool } from "./select";
import type { Tool } from "./tool";

/** All tools by name. */
export const tools: Readonly<Record<ToolName, Tool>> = {
  select: selectTool,
  segment: segmentTool,
  remove: removeTool,
  box: boxTool,
  everything: everythingTool,
  pan: panTool,
};
