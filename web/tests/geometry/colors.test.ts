import { describe, expect, it } from "vitest";
import { nextColor } from "../../src/geometry/colors";

describe("the colour for a new object", () => {
  it.each([
    [[], 3, 0],
    [[0], 3, 1],
    [[0, 2], 3, 1],
    [[0, 1, 2], 3, 0],
    [[0, 0, 1, 2, 1], 3, 2],
    [[7, 200], 3, 0],
    [[0, 0], 1, 0],
  ])("after %j of %d colours is %d", (used, palette, expected) => {
    expect(nextColor(used, palette)).toBe(expected);
  });
});
