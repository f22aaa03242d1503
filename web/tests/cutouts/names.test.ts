import { describe, expect, it } from "vitest";
import { allCutOutsName, cutOutName, stem } from "../../src/cutouts/names";

describe("the name of a cut-out", () => {
  it.each([
    ["truck.jpg", "wheel", 3, "truck-wheel-3.png"],
    ["truck.jpg", null, 1, "truck-1.png"],
    ["day 1/truck.front.jpeg", "red car", 12, "truck.front-red car-12.png"],
    ["folder\\truck.png", "a/b:c*?", 2, "truck-a b c-2.png"],
    ["étoile.png", "犬", 1, "étoile-犬-1.png"],
    [".jpg", "...", 1, "jpg-1.png"],
    ["???.jpg", " \n ", 1, "picture-1.png"],
    ["con.png", null, 1, "con_-1.png"],
  ])("of %j with the label %j and the number %d is %j", (picture, label, number, expected) => {
    expect(cutOutName(picture, label, number)).toBe(expected);
  });

  it("is cut where it is too long for a file system, in the middle of no letter", () => {
    const name = cutOutName(`${"👍".repeat(200)}.jpg`, "x".repeat(200), 7);
    expect(name).toBe(`${"👍".repeat(25)}-${"x".repeat(100)}-7.png`);
    expect(new TextEncoder().encode(name).length).toBeLessThan(255);
  });

  it("of all together is the picture's", () => {
    expect(allCutOutsName("a/truck.jpg", "zip")).toBe("truck-objects.zip");
    expect(stem("truck")).toBe("truck");
  });
});
