import { ChevronLeft } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const previousPicture: Action = {
  name: "previous-picture",
  label: "Previous picture",
  keys: ["a", "ArrowLeft"],
  icon: ChevronLeft,
  group: "Pictures",
  enabled: hasPicture,
  repeats: true,
  run: ({ session }) => {
    session.previousPicture();
  },
};
