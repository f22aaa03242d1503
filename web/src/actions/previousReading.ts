import { Layers2 } from "lucide-react";
import { hasReadings, type Action } from "./action";

export const previousReading: Action = {
  name: "previous-reading",
  label: "Next smaller reading",
  keys: ["shift+g"],
  icon: Layers2,
  group: "Objects",
  repeats: true,
  enabled: hasReadings,
  run: ({ session }) => {
    const { readings } = session.state.getState();
    if (readings === null) return;
    const count = readings.candidates.length;
    session.chooseReading((readings.chosen + count - 1) % count);
  },
};
