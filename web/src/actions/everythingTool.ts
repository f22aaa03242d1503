import { Sparkles } from "lucide-react";
import { toolAction } from "./toolAction";

export const everythingTool = toolAction(
  "everything",
  "e",
  "Everything",
  "All masks of the picture: click to accept, right-click to reject.",
  Sparkles,
);
