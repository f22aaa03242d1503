import { Hash } from "lucide-react";
import { hasPicture, type Action } from "./action";

function countText(labels: number): string {
  if (labels === 0) return "there are no labels yet";
  return labels === 1 ? "there is only 1" : `there are only ${String(labels)}`;
}

export const labelByNumber: Action = {
  name: "label-by-number",
  label: "Label the object by its number",
  hint: "With none selected: the label that new objects get.",
  keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
  keysShown: "1 – 9",
  icon: Hash,
  group: "Labels",
  enabled: hasPicture,
  run: ({ session }, key) => {
    const { labels, selected } = session.state.getState();
    const label = labels[Number(key) - 1];
    if (label === undefined) {
      session.notify(
        "info",
        `No label has the number ${String(key)}: ${countText(labels.length)}. Press L to type one.`,
      );
    } else if (selected === null) {
      session.setStickyLabel(label);
    } else {
      session.setLabel(selected, label);
    }
  },
};
