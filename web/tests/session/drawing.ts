import type { ObjectState } from "../../src/api/types";
import type { Tab } from "./browser";

/** Make an object with one click, and finish it. */
export async function draw(tab: Tab, x: number): Promise<ObjectState> {
  tab.session.click({ x, y: 10 }, true);
  await tab.until((state) => state.waiting.length === 0 && !state.decoding);
  tab.session.finish();
  const last = tab.state.objects.at(-1);
  if (!last) throw new Error("The click made no object.");
  return last;
}
