import { ZoomIn } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const zoomIn: Action = {
  name: "zoom-in",
  label: "Zoom in",
  keys: ["+", "="],
  icon: ZoomIn,
  group: "View",
  enabled: hasPicture,
  repeats: true,
  run: ({ stage }) => {
    stage.zoomIn();
  },
};
