import { CircleQuestionMark } from "lucide-react";
import { always, type Action } from "./action";

export const showHelp: Action = {
  name: "help",
  label: "Keys and help",
  keys: ["?"],
  icon: CircleQuestionMark,
  group: "Project",
  enabled: always,
  run: ({ page }) => {
    page.openDialog("help");
  },
};
