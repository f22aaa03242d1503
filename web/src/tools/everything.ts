import type { Tool } from "./tool";

/** A click accepts the proposal under the pointer, right or Alt rejects it. */
export const everythingTool: Tool = {
  name: "everything",
  marks: null,
  drag: null,
  click(session, { point, negative }) {
    // A finger has not pointed before it clicks.
    session.pointAt(point);
    const proposal = session.state.getState().hoveredProposal;
    if (proposal === null) return null;
    if (negative) session.rejectProposal(proposal);
    else session.acceptProposal(proposal);
    return null;
  },
};
