import { FolderArchive } from "lucide-react";
import { hasObjects, type Action } from "./action";

export const saveAllCutOuts: Action = {
  name: "save-all-cut-outs",
  label: "Save all cut-outs as ZIP",
  keys: ["mod+shift+s"],
  icon: FolderArchive,
  group: "Cut-outs",
  enabled: hasObjects,
  run: ({ cutOuts }) => {
    cutOuts.saveAll();
  },
};
