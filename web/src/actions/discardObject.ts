import { X } from "lucide-react";
import type { Action } from "./action";

export const discardObject: Action = {
  name: "discard",
  label: "Give up the object",
  hint: "A finished one is only let go of; with none selected, the label of new objects goes.",
  keys: ["Escape"],
  icon: X,
  group: "Objects",
  enabled: (state) => state.selected !== null || state.stickyLabel !== null,
  run: ({ session }) => {
    if (session.state.getState().selected !== null) session.discard();
    else session.setStickyLabel(null);
  },
};
