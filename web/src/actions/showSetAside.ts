import { ArchiveRestore } from "lucide-react";
import { always, type Action } from "./action";

export const showSetAside: Action = {
  name: "set-aside",
  label: "What was set aside",
  hint: "Changes that could not be saved are kept here until you decide about them.",
  keys: ["u"],
  icon: ArchiveRestore,
  group: "Project",
  enabled: always,
  run: ({ page }) => {
    page.openDialog("aside");
  },
};
