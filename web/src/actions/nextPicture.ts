import { ChevronRight } from "lucide-react";
import { hasPicture, type Action } from "./action";

export const nextPicture: Action = {
  name: "next-picture",
  label: "Next picture",
  keys: ["d", "ArrowRight"],
  icon: ChevronRight,
  group: "Pictures",
  enabled: hasPicture,
  repeats: true,
  run: ({ session }) => {
    session.nextPicture();
  },
};
