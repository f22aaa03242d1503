import { Tags } from "lucide-react";
import { always, type Action } from "./action";

export const editLabels: Action = {
  name: "edit-labels",
  label: "Edit the labels",
  hint: "Their order gives their number keys.",
  keys: ["shift+l"],
  icon: Tags,
  group: "Labels",
  enabled: always,
  run: ({ page }) => {
    page.openDialog("labels");
  },
};
