import type { LucideIcon } from "lucide-react";
import type { ToolName } from "../session/session";
import { always, type Action } from "./action";

/** The action that takes up a tool. */
export function toolAction(tool: ToolName, key: string, label: string, hint: string, icon: LucideIcon): Action {
  return {
    name: `tool-${tool}`,
    label,
    hint,
    keys: [key],
    icon,
    group: "Tools",
    enabled: always,
    pressed: (state) => state.tool === tool,
    run: ({ session }) => {
      session.setTool(tool);
    },
  };
}
