import { Eraser } from "lucide-react";
import { toolAction } from "./toolAction";

export const removeTool = toolAction("remove", "r", "Remove", "Click on what does not belong to the object.", Eraser);
