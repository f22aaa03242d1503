import { Hand } from "lucide-react";
import { toolAction } from "./toolAction";

export const panTool = toolAction("pan", "h", "Pan", "Drag the picture; hold Space to do so with any tool.", Hand);
