import type { KeyPress } from "../../src/actions/keys";

/** A key press as a browser reports it; `key` and `code` as on an English keyboard where they are left out. */
export function press(key: string, changes: Partial<KeyPress> = {}): KeyPress {
  const code = /^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : /^[0-9]$/.test(key) ? `Digit${key}` : key;
  return { key, code, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...changes };
}
