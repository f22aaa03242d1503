import { Check } from "lucide-react";
import { hasSelection, type Action } from "./action";

export const finishObject: Action = {
  name: "finish",
  label: "Finish the object",
  hint: "The next click begins another.",
  keys: ["Enter", "n"],
  icon: Check,
  group: "Objects",
  enabled: hasSelection,
  run: ({ session }) => {
    session.finish();
  },
};
