import { ImageDown } from "lucide-react";
import { hasSelection, type Action } from "./action";

export const saveCutOut: Action = {
  name: "save-cut-out",
  label: "Save the cut-out as PNG",
  keys: ["shift+c"],
  icon: ImageDown,
  group: "Cut-outs",
  enabled: hasSelection,
  run: ({ cutOuts }) => {
    cutOuts.saveSelected();
  },
};
