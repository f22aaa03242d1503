import { Copy } from "lucide-react";
import { hasSelection, type Action } from "./action";

export const copyCutOut: Action = {
  name: "copy-cut-out",
  label: "Copy the cut-out",
  hint: "The selected object on transparent ground, to the clipboard.",
  keys: ["c"],
  icon: Copy,
  group: "Cut-outs",
  enabled: hasSelection,
  run: ({ cutOuts }) => {
    cutOuts.copySelected();
  },
};
