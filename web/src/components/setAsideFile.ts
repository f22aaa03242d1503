import type { Project } from "../api/types";
import type { SetAsideObject } from "../session/session";

/**
 * What was set aside, as JSON text that a program can read: every change as the server would have got it.
 *
 * @param names - of pictures, by their numbers.
 */
export function setAsideFile(
  project: Pick<Project, "id" | "name"> | null,
  names: ReadonlyMap<number, string>,
  aside: readonly SetAsideObject[],
): string {
  const changes = aside.flatMap((one) =>
    one.changes.map(({ picture, reason, change }) => ({
      picture,
      name: names.get(picture) ?? null,
      reason,
      change,
    })),
  );
  return JSON.stringify({ project: project?.id ?? null, folder: project?.name ?? null, changes }, null, 1);
}
