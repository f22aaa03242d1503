import { MousePointer2 } from "lucide-react";
import { toolAction } from "./toolAction";

export const selectTool = toolAction("select", "v", "Select", "Click an object to take it up.", MousePointer2);
