import { ArrowUp } from "lucide-react";
import { hasObjects, type Action } from "./action";
import { neighbour } from "./neighbour";

export const previousObject: Action = {
  name: "previous-object",
  label: "Previous object in the list",
  keys: ["k", "ArrowUp"],
  icon: ArrowUp,
  group: "Objects",
  repeats: true,
  enabled: hasObjects,
  run: ({ session }) => {
    const object = neighbour(session.state.getState(), -1);
    if (object !== null) session.select(object);
  },
};
