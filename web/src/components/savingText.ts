import type { StudioState } from "../session/session";

function changes(count: number): string {
  return count === 1 ? "1 change" : `${count.toLocaleString("en")} changes`;
}

/** How the saving of changes stands, in a few words. */
export function savingText({
  saving,
  unsaved,
  serverLost,
}: Pick<StudioState, "saving" | "unsaved" | "serverLost">): string {
  if (saving === "failed") return `${changes(unsaved)} not saved`;
  if (saving === "offline" || serverLost) return unsaved === 0 ? "Offline" : `Offline, ${changes(unsaved)} kept here`;
  if (saving === "saving") return "Saving…";
  return "Saved";
}
