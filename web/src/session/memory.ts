/** What this browser remembers of a project from one visit to the next. */
export interface Memory {
  /** The picture that the address asks for, else the one that this tab, or another one, had open last. */
  lastPicture(): number | null;
  rememberPicture(picture: number): void;
  /** The object that was selected in a picture when the page went. */
  selected(picture: number): string | null;
  rememberSelected(picture: number, object: string | null): void;
}

/** Where a browser keeps things; null where it refuses to. */
export interface Storages {
  /** Of this tab. */
  session: Storage | null;
  /** Of all tabs. */
  local: Storage | null;
}

export function browserStorages(): Storages {
  const attempt = (storage: () => Storage) => {
    try {
      return storage();
    } catch {
      return null;
    }
  };
  return { session: attempt(() => sessionStorage), local: attempt(() => localStorage) };
}

/** @param project - the project's id. */
export function openMemory(project: string, { session, local }: Storages, address: URL | null): Memory {
  const name = `anymask:${project}:picture`;
  const selectedName = `anymask:${project}:selected`;
  const asNumber = (text: string | null | undefined) => (text && /^\d+$/.test(text) ? Number(text) : null);
  return {
    lastPicture() {
      // Once followed, the address must not take the person back here whenever the page is loaded again.
      const asked =
        session?.getItem(`${name}:asked`) === address?.href ? null : asNumber(address?.searchParams.get("picture"));
      if (asked !== null) keep(session, `${name}:asked`, address?.href ?? "");
      return asked ?? asNumber(session?.getItem(name)) ?? asNumber(local?.getItem(name));
    },
    rememberPicture(picture) {
      keep(session, name, String(picture));
      keep(local, name, String(picture));
    },
    selected(picture) {
      const [known, object] = session?.getItem(selectedName)?.split(" ") ?? [];
      return known === String(picture) ? (object ?? null) : null;
    },
    rememberSelected(picture, object) {
      if (object === null) session?.removeItem(selectedName);
      else keep(session, selectedName, `${picture} ${object}`);
    },
  };
}

function keep(storage: Storage | null, name: string, value: string): void {
  try {
    storage?.setItem(name, value);
  } catch {
    // Full; it is only a convenience.
  }
}
