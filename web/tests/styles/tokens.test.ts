import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const CSS = readFileSync(fileURLToPath(new URL("../../src/styles/tokens.css", import.meta.url)), "utf8");
const COLORS = new Map(
  [...CSS.matchAll(/--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(([, name, light, dark]) => [
    name ?? "",
    { light: light ?? "", dark: dark ?? "" },
  ]),
);

/** Relative luminance as WCAG 2 defines it. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(front: string, back: string, theme: "light" | "dark"): number {
  const [a, b] = [front, back].map((name) => luminance(COLORS.get(name)?.[theme] ?? "missing"));
  return (Math.max(a ?? 0, b ?? 0) + 0.05) / (Math.min(a ?? 0, b ?? 0) + 0.05);
}

const GROUNDS = ["ground", "surface", "surface-raised", "surface-sunken", "hovered", "accent-ground"];

it.each([
  ...GROUNDS.flatMap((ground) => [
    ["text", ground, 4.5] as const,
    ["text-quiet", ground, 4.5] as const,
    ["accent", ground, 3] as const,
  ]),
  ["accent", "accent-ground", 4.5],
  ["accent", "surface", 4.5],
  ["on-accent", "accent", 4.5],
  ["warning", "surface", 4.5],
  ["bad", "surface", 4.5],
  ["bad", "surface-raised", 4.5],
  ["text", "bad-ground", 4.5],
  ["line-strong", "surface", 3],
  ["line-strong", "surface-raised", 3],
] as const)("%s can be read on %s", (front, back, least) => {
  expect(contrast(front, back, "light")).toBeGreaterThanOrEqual(least);
  expect(contrast(front, back, "dark")).toBeGreaterThanOrEqual(least);
});
