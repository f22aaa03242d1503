/** In bytes: file systems take 255 for a whole name. */
const LONGEST_PART = 100;
/** Not allowed in file names by one system or another. */
const FORBIDDEN = /[\u0000-\u001f\u007f<>:"/\\|?*]+/g;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

/** The picture's name without its folders and its ending, as a part of a file name. */
export function stem(pictureName: string): string {
  const file = pictureName.split(/[/\\]/).at(-1) ?? "";
  const name = clean(file.replace(/(?<=.)\.[^.]*$/, ""));
  return name === "" ? "picture" : RESERVED.test(name) ? `${name}_` : name;
}

/**
 * A file name for a cut-out, such as `truck-wheel-3.png`, that every system takes.
 *
 * @param number - the object's place in the list, from 1; it keeps names apart.
 */
export function cutOutName(pictureName: string, label: string | null, number: number): string {
  const parts = [stem(pictureName), clean(label ?? ""), String(number)];
  return `${parts.filter((part) => part !== "").join("-")}.png`;
}

/** A file name for the cut-out of all objects together, or with `zip` for each of them in one file. */
export function allCutOutsName(pictureName: string, ending: "png" | "zip"): string {
  return `${stem(pictureName)}-objects.${ending}`;
}

function clean(text: string): string {
  const spaced = text.normalize("NFC").replace(FORBIDDEN, " ").replace(/\s+/g, " ");
  let short = "";
  let room = LONGEST_PART;
  for (const letter of spaced.trim()) {
    room -= new TextEncoder().encode(letter).length;
    if (room < 0) break;
    short += letter;
  }
  return short.replace(/^[. ]+|[. ]+$/g, "");
}
