import { Scan } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const actualSize: Action = {
  name: "actual-size",
  label: "Actual size, 100%",
  keys: ["shift+1"],
  icon: Scan,
  group: "View",
  enabled: hasPicture,
  run: ({ stage }) => {
    stage.actualSize();
  },
};
