import { EyeOff } from "lucide-react";
import { hasSelection, type Action } from "./action";

export const showObject: Action = {
  name: "show-object",
  label: "Show or hide the object",
  keys: ["x"],
  icon: EyeOff,
  group: "Objects",
  enabled: hasSelection,
  pressed: (state) => state.objects.some(({ id, visible }) => id === state.selected && !visible),
  run: ({ session }) => {
    const { objects, selected } = session.state.getState();
    const object = objects.find(({ id }) => id === selected);
    if (object) session.setVisible(object.id, !object.visible);
  },
};
