import { boxBetween } from "../geometry/boxes";
import { promptOrRemove } from "./clicks";
import type { Tool } from "./tool";

/** A drag makes an object from a box, seen while it is dragged; clicks are those of the segment tool. */
export const boxTool: Tool = {
  name: "box",
  marks: "clicks",
  drag: {
    move(session, picture, from, to) {
      const box = boxBetween(from, to, picture);
      session.dragBox(box);
      return box;
    },
    drop(session, picture, from, to) {
      const box = boxBetween(from, to, picture);
      // In this order what was previewed stays until the mask is there.
      if (box) session.addBox(box);
      session.dragBox(null);
      return box;
    },
    cancel: (session) => {
      session.dragBox(null);
    },
  },
  click: (session, click) => promptOrRemove(session, click, !click.negative),
};
