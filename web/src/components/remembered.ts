/** The browser's storage; null where it refuses to remember anything. */
export function browserStorage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

/** What was remembered under a name on an earlier day. */
export function recall(name: string): string | null {
  return browserStorage()?.getItem(`anymask.${name}`) ?? null;
}

export function remember(name: string, value: string): void {
  browserStorage()?.setItem(`anymask.${name}`, value);
}
