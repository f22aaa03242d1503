import type { Picture } from "../api/types";

/** The pictures whose name holds every word of what is sought, in their order. */
export function findPictures(pictures: readonly Picture[], sought: string): readonly Picture[] {
  const words = sought
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return pictures;
  return pictures.filter(({ name }) => {
    const lower = name.toLowerCase();
    return words.every((word) => lower.includes(word));
  });
}

/** Where a key leads in a list, or null where it means nothing there. `page` is how many rows a page has. */
export function stepInList(key: string, index: number, count: number, page: number): number | null {
  const steps: Record<string, number> = {
    ArrowDown: index + 1,
    ArrowUp: index - 1,
    PageDown: index + page,
    PageUp: index - page,
    Home: 0,
    End: count - 1,
  };
  const to = steps[key];
  return to === undefined || count === 0 ? null : Math.min(Math.max(to, 0), count - 1);
}
