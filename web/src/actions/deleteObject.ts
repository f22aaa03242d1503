import { Trash2 } from "lucide-react";
import { hasSelection, type Action } from "./action";

export const deleteObject: Action = {
  name: "delete-object",
  label: "Delete the object",
  keys: ["Delete", "Backspace"],
  icon: Trash2,
  group: "Objects",
  enabled: hasSelection,
  run: ({ session }) => {
    const { selected } = session.state.getState();
    if (selected !== null) session.remove(selected);
  },
};
