/** What the pointer does on the stage, for the help sheet: gesture and effect. */
export const GESTURES: readonly (readonly [string, string])[] = [
  ["Click", "Add to the object, or begin one"],
  ["Right-click, Alt-click", "Take away from the object"],
  ["Click on a point", "Remove that point"],
  ["Double-click", "Take up the object under the pointer"],
  ["Wheel", "Zoom to the pointer"],
  ["Space-drag, middle-drag", "Move the picture"],
];
