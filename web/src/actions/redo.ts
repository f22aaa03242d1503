import { Redo2 } from "lucide-react";
import type { Action } from "./action";

export const redo: Action = {
  name: "redo",
  label: "Redo",
  keys: ["mod+shift+z", "mod+y"],
  icon: Redo2,
  group: "Objects",
  enabled: (state) => state.canRedo,
  repeats: true,
  run: ({ session }) => {
    session.redo();
  },
};
