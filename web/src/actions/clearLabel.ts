import { ListX } from "lucide-react";
import type { Action } from "./action";

export const clearLabel: Action = {
  name: "clear-label",
  label: "Take the label away",
  keys: ["0"],
  icon: ListX,
  group: "Labels",
  enabled: (state) => state.selected !== null || state.stickyLabel !== null,
  run: ({ session }) => {
    const { selected } = session.state.getState();
    if (selected === null) session.setStickyLabel(null);
    else session.setLabel(selected, null);
  },
};
