export interface Memory {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
}

/** The browser's storage; null where it refuses to remember anything. What does not fit any more is forgotten. */
export function browserMemory(): Memory | null {
  try {
    const storage = window.localStorage;
    return {
      getItem: (name) => storage.getItem(name),
      setItem: (name, value) => {
        try {
          storage.setItem(name, value);
        } catch {
          // The storage is full; the page works as well without.
        }
      },
    };
  } catch {
    return null;
  }
}

/** What was remembered under a name on an earlier day. */
export function recall(name: string): string | null {
  return browserMemory()?.getItem(`anymask.${name}`) ?? null;
}

export function remember(name: string, value: string): void {
  browserMemory()?.setItem(`anymask.${name}`, value);
}
