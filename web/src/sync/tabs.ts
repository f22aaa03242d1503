/** What a tab tells the others: a picture's objects are not what they were. */
export interface PictureChanged {
  project: string;
  /** Null where it may be any picture, and the labels. */
  picture: number | null;
}

/** The other tabs of this browser that show the studio. */
export interface Tabs {
  tell(message: PictureChanged): void;
  onChange(listener: (message: PictureChanged) => void): void;
  close(): void;
}

/** Find the other tabs; a browser without channels has none. */
export function openTabs(name = "anymask-studio"): Tabs {
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(name);
  return {
    tell: (message) => channel?.postMessage(message),
    onChange(listener) {
      channel?.addEventListener("message", (event: MessageEvent<PictureChanged>) => listener(event.data));
    },
    close: () => channel?.close(),
  };
}
