import { Upload } from "lucide-react";
import { always, type Action } from "./action";

export const importMasks: Action = {
  name: "import",
  label: "Import masks",
  hint: "Or drop a file anywhere on the page.",
  keys: ["mod+i"],
  icon: Upload,
  group: "Project",
  enabled: always,
  run: ({ page }) => {
    page.openDialog("import");
  },
};
