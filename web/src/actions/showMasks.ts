import { Eye } from "lucide-react";
import { always, type Action } from "./action";

export const showMasks: Action = {
  name: "show-masks",
  label: "Show or hide all masks",
  keys: ["m"],
  icon: Eye,
  group: "View",
  enabled: always,
  pressed: (state) => state.masksHidden,
  run: ({ session }) => {
    session.setMasksHidden(!session.state.getState().masksHidden);
  },
};
