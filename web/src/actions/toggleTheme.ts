import { SunMoon } from "lucide-react";
import { always, type Action } from "./action";

export const toggleTheme: Action = {
  name: "toggle-theme",
  label: "Light or dark",
  keys: ["t"],
  icon: SunMoon,
  group: "View",
  enabled: always,
  run: ({ page }) => {
    page.toggleTheme();
  },
};
