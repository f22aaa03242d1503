import type { Tool } from "./tool";

/** A click takes up the object under the pointer, or lets go where there is none. */
export const selectTool: Tool = {
  name: "select",
  marks: "objects",
  drag: null,
  click(session, { point }) {
    session.select(session.objectAt(point));
    return null;
  },
};
