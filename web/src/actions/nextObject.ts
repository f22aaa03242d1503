import { ArrowDown } from "lucide-react";
import { hasObjects, type Action } from "./action";
import { neighbour } from "./neighbour";

export const nextObject: Action = {
  name: "next-object",
  label: "Next object in the list",
  keys: ["j", "ArrowDown"],
  icon: ArrowDown,
  group: "Objects",
  repeats: true,
  enabled: hasObjects,
  run: ({ session }) => {
    const object = neighbour(session.state.getState(), 1);
    if (object !== null) session.select(object);
  },
};
