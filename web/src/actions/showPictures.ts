import { PanelLeft } from "lucide-react";
import { always, type Action } from "./action";

export const showPictures: Action = {
  name: "show-pictures",
  label: "Show or hide the list of pictures",
  keys: ["p"],
  icon: PanelLeft,
  group: "Pictures",
  enabled: always,
  run: ({ page }) => {
    page.togglePictures();
  },
};
