import { describe, expect, it } from "vitest";
import { ariaKey, isMac, keyText, matches } from "../../src/actions/keys";
import { press } from "./presses";

describe("matches", () => {
  it.each([
    ["s", press("s"), true],
    ["s", press("S", { shiftKey: true }), false],
    ["s", press("S"), true], // Caps Lock
    ["shift+g", press("G", { shiftKey: true }), true],
    ["s", press("s", { altKey: true }), false],
    ["s", press("s", { ctrlKey: true }), false],
    ["s", press("s", { metaKey: true }), false],
    ["mod+z", press("z", { ctrlKey: true }), true],
    ["mod+z", press("Z", { ctrlKey: true, shiftKey: true }), false],
    ["mod+shift+z", press("Z", { ctrlKey: true, shiftKey: true }), true],
    ["Enter", press("Enter"), true],
    ["Enter", press("Enter", { shiftKey: true }), false],
    ["?", press("?", { shiftKey: true, code: "Slash" }), true],
    ["+", press("+", { shiftKey: true, code: "Equal" }), true],
    ["+", press("+", { code: "NumpadAdd" }), true],
    ["-", press("-", { code: "Minus" }), true],
    ["3", press("3"), true],
    ["3", press("3", { code: "Numpad3" }), true],
    ["3", press("PageDown", { code: "Numpad3" }), false],
    ["3", press("#", { code: "Digit3", shiftKey: true }), false],
    ["shift+1", press("!", { code: "Digit1", shiftKey: true }), true],
  ])("%s and %o: %s", (shortcut, pressed, expected) => {
    expect(matches(shortcut, pressed, false)).toBe(expected);
  });

  it("takes letters from the layout, and places where the layout has no Latin letters", () => {
    expect(matches("a", press("a", { code: "KeyQ" }), false)).toBe(true);
    expect(matches("q", press("a", { code: "KeyQ" }), false)).toBe(false);
    expect(matches("s", press("ы", { code: "KeyS" }), false)).toBe(true);
    expect(matches("mod+z", press("я", { code: "KeyZ", ctrlKey: true }), false)).toBe(true);
  });

  it("takes digits as keys, which a French keyboard gives without Shift as signs", () => {
    expect(matches("1", press("&", { code: "Digit1" }), false)).toBe(true);
  });

  it("takes Cmd for Ctrl on a Mac, and Ctrl for nothing", () => {
    expect(matches("mod+z", press("z", { metaKey: true }), true)).toBe(true);
    expect(matches("mod+z", press("z", { ctrlKey: true }), true)).toBe(false);
    expect(matches("mod+z", press("z", { metaKey: true }), false)).toBe(false);
  });
});

it("is written as the system writes it", () => {
  expect(keyText("mod+shift+z", false)).toBe("Ctrl+Shift+Z");
  expect(keyText("mod+shift+z", true)).toBe("⇧⌘Z");
  expect(keyText("ArrowRight", false)).toBe("→");
  expect(keyText("Escape", true)).toBe("Esc");
  expect(keyText("+", false)).toBe("+");
  expect(ariaKey("mod+z", false)).toBe("Control+z");
  expect(ariaKey("mod+z", true)).toBe("Meta+z");
  expect(ariaKey("+", false)).toBe("Plus");
});

it("knows a Mac by its platform", () => {
  expect(isMac("MacIntel")).toBe(true);
  expect(isMac("Linux x86_64")).toBe(false);
  expect(isMac("Win32")).toBe(false);
});
