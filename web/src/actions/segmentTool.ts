import { MousePointerClick } from "lucide-react";
import { toolAction } from "./toolAction";

export const segmentTool = toolAction(
  "segment",
  "s",
  "Segment",
  "Hover to see the mask, click to keep it; right-click or Alt-click takes away.",
  MousePointerClick,
);
