import type { ObjectState } from "../../src/api/types";

/** An object as a click makes it; whatever matters to a test is given. */
export function objectState(given: Partial<ObjectState> & Pick<ObjectState, "id">): ObjectState {
  return {
    version: 1,
    status: "present",
    counts: "04L40",
    prompts: null,
    label: null,
    color: 0,
    visible: true,
    order: 1,
    score: null,
    source: "assisted",
    finished: false,
    model: null,
    ...given,
  };
}
