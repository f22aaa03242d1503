import { SquareDashed } from "lucide-react";
import { toolAction } from "./toolAction";

export const boxTool = toolAction(
  "box",
  "b",
  "Box",
  "Drag a box around something; clicks inside refine it.",
  SquareDashed,
);
