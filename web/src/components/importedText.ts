import type { Imported } from "../api/types";

function count(number: number, one: string, many: string): string {
  return number === 1 ? `1 ${one}` : `${number.toLocaleString("en")} ${many}`;
}

/** What an import did, in a sentence or two. */
export function importedText({ masks, known, other_images }: Imported): string {
  const parts = [`${count(masks, "mask", "masks")} came in.`];
  if (known > 0) parts.push(`${count(known, "was", "were")} here before.`);
  if (other_images > 0) parts.push(`${count(other_images, "image is", "images are")} not in this project.`);
  return parts.join(" ");
}
