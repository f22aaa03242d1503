import { CheckCheck } from "lucide-react";
import type { Action } from "./action";

export const acceptAllProposals: Action = {
  name: "accept-all",
  label: "Accept all",
  hint: "All masks that the everything tool shows become objects.",
  keys: ["shift+a"],
  icon: CheckCheck,
  group: "Objects",
  enabled: (state) => state.tool === "everything" && (state.proposals?.length ?? 0) > 0,
  run: ({ session }) => {
    session.acceptAllProposals();
  },
};
