import { ZoomOut } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const zoomOut: Action = {
  name: "zoom-out",
  label: "Zoom out",
  keys: ["-"],
  icon: ZoomOut,
  group: "View",
  enabled: hasPicture,
  repeats: true,
  run: ({ stage }) => {
    stage.zoomOut();
  },
};
