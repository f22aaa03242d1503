import { Search } from "lucide-react";
import { always, type Action } from "./action";

export const findPicture: Action = {
  name: "find-picture",
  label: "Find a picture by name",
  keys: ["/"],
  icon: Search,
  group: "Pictures",
  enabled: always,
  run: ({ page }) => {
    page.searchPictures();
  },
};
