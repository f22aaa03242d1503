import { ImagePlus } from "lucide-react";
import { hasObjects, type Action } from "./action";

export const saveTogether: Action = {
  name: "save-together",
  label: "Save all objects as one PNG",
  hint: "As large as the picture, on transparent ground.",
  keys: ["shift+s"],
  icon: ImagePlus,
  group: "Cut-outs",
  enabled: hasObjects,
  run: ({ cutOuts }) => {
    cutOuts.saveTogether();
  },
};
