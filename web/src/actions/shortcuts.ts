import type { Action, ActionContext } from "./action";
import { isMac, matches } from "./keys";

function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement)
    return !["button", "checkbox", "radio", "file", "submit"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** Enter on a button that has the focus means that button. */
function takesEnter(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("button, a[href], summary, label, input") !== null;
}

/** The action that a key press means, with its shortcut; null where it means none. */
export function findAction(
  actions: readonly Action[],
  press: KeyboardEvent,
  mac: boolean,
): { action: Action; key: string } | null {
  for (const action of actions) {
    const key = action.keys.find((shortcut) => matches(shortcut, press, mac));
    if (key !== undefined) return { action, key };
  }
  return null;
}

/**
 * Run actions by their keys; returns what ends it.
 *
 * Keys do nothing while a text field has the focus or a dialog is open, and nothing that their target has already used.
 */
export function listenForShortcuts(actions: readonly Action[], context: ActionContext, target: Window): () => void {
  const mac = isMac(target.navigator.platform);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || isTextField(event.target)) return;
    if (context.page.state.getState().dialog !== null) return;
    if (event.key === "Enter" && takesEnter(event.target)) return;
    const found = findAction(actions, event, mac);
    if (found === null) return;
    const { action, key } = found;
    const enabled = action.enabled(context.session.state.getState());
    // The browser's own meaning of Ctrl with a key of ours would surprise even where ours has nothing to do.
    if (enabled || key.startsWith("mod+")) event.preventDefault();
    if (enabled && (!event.repeat || action.repeats)) action.run(context, key);
  }

  target.addEventListener("keydown", onKeyDown);
  return () => {
    target.removeEventListener("keydown", onKeyDown);
  };
}
