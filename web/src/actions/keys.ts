/** What of a `KeyboardEvent` tells which shortcut was pressed. */
export type KeyPress = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

interface Shortcut {
  /** Ctrl, or Cmd on a Mac. */
  mod: boolean;
  shift: boolean;
  key: string;
}

const SHOWN: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  Delete: "Del",
  "-": "−",
};

function parse(shortcut: string): Shortcut {
  const parts = shortcut.split("+").filter((part) => part !== "");
  const key = shortcut.endsWith("+") ? "+" : (parts.at(-1) ?? "");
  return { mod: parts.includes("mod"), shift: parts.includes("shift"), key };
}

/** Whether this is a Mac, where Cmd stands for Ctrl. */
export function isMac(platform: string): boolean {
  return /mac|iphone|ipad/i.test(platform);
}

/**
 * Whether a key press is a shortcut, such as "s", "shift+g", "mod+z", "Enter" or "?".
 *
 * Letters are those that the keyboard's layout gives, or, where it has no Latin letters, those at the same place of an
 * English one. Digits are keys, so that they need no Shift on layouts which would ask for it.
 */
export function matches(shortcut: string, press: KeyPress, mac: boolean): boolean {
  const { mod, shift, key } = parse(shortcut);
  if (press.altKey || (mac ? press.metaKey : press.ctrlKey) !== mod || (mac ? press.ctrlKey : press.metaKey))
    return false;
  if (/^[0-9]$/.test(key)) {
    const numpad = press.code === `Numpad${key}` && press.key === key;
    return (press.code === `Digit${key}` || numpad) && press.shiftKey === shift;
  }
  if (/^[a-z]$/.test(key)) {
    const pressed = press.key.toLowerCase();
    const letter = /^[a-z]$/.test(pressed) ? pressed === key : press.code === `Key${key.toUpperCase()}`;
    return letter && press.shiftKey === shift;
  }
  // A symbol may need Shift on one keyboard and none on another.
  return press.key === key && (key.length === 1 || press.shiftKey === shift);
}

/** A shortcut as a person reads it: "Ctrl+Shift+Z", or "⇧⌘Z" on a Mac. */
export function keyText(shortcut: string, mac: boolean): string {
  const { mod, shift, key } = parse(shortcut);
  const shown = SHOWN[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  return mac ? `${shift ? "⇧" : ""}${mod ? "⌘" : ""}${shown}` : `${mod ? "Ctrl+" : ""}${shift ? "Shift+" : ""}${shown}`;
}

/** A shortcut for the attribute `aria-keyshortcuts`. */
export function ariaKey(shortcut: string, mac: boolean): string {
  const { mod, shift, key } = parse(shortcut);
  const named = key === "+" ? "Plus" : key;
  return `${mod ? (mac ? "Meta+" : "Control+") : ""}${shift ? "Shift+" : ""}${named}`;
}
