import { Maximize } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const fitPicture: Action = {
  name: "fit",
  label: "Fit the picture",
  keys: ["f", "mod+0"],
  icon: Maximize,
  group: "View",
  enabled: hasPicture,
  run: ({ stage }) => {
    stage.fit();
  },
};
