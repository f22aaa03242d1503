import { Download } from "lucide-react";
import { always, type Action } from "./action";

export const exportMasks: Action = {
  name: "export",
  label: "Export masks",
  keys: ["mod+e"],
  icon: Download,
  group: "Project",
  enabled: always,
  run: ({ page }) => {
    page.openDialog("export");
  },
};
