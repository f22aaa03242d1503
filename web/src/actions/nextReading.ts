import { Layers } from "lucide-react";
import { hasReadings, type Action } from "./action";

export const nextReading: Action = {
  name: "next-reading",
  label: "Next larger reading",
  hint: "One click can mean a part, a thing or the whole.",
  keys: ["g"],
  icon: Layers,
  group: "Objects",
  enabled: hasReadings,
  repeats: true,
  run: ({ session }) => {
    session.nextReading();
  },
};
