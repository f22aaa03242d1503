import { Undo2 } from "lucide-react";
import type { Action } from "./action";

export const undo: Action = {
  name: "undo",
  label: "Undo",
  keys: ["mod+z"],
  icon: Undo2,
  group: "Objects",
  enabled: (state) => state.canUndo,
  repeats: true,
  run: ({ session }) => {
    session.undo();
  },
};
