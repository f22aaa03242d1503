import { Tag } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const typeLabel: Action = {
  name: "type-label",
  label: "Type a label",
  hint: "With no object selected: the label that new objects get.",
  keys: ["l"],
  icon: Tag,
  group: "Labels",
  enabled: hasPicture,
  run: ({ session, page }) => {
    const { selected } = session.state.getState();
    page.startLabelling(selected === null ? { kind: "new" } : { kind: "object", id: selected });
  },
};
