import type { SessionOptions } from "./create";

export interface PageEvents {
  /** The page is seen again, or the network is back. */
  onWake(): void;
  /** The page may be going. */
  onHide(): void;
  /** Whether the browser is to ask before it closes the page. */
  mustAsk(): boolean;
}

/** Follow what the browser tells of the page. */
export function listenToPage(
  page: SessionOptions["page"],
  signal: AbortSignal,
  { onWake, onHide, mustAsk }: PageEvents,
): void {
  page?.addEventListener("online", onWake, { signal });
  page?.addEventListener("pagehide", onHide, { signal });
  page?.document?.addEventListener(
    "visibilitychange",
    () => {
      onWake();
      onHide();
    },
    { signal },
  );
  page?.addEventListener(
    "beforeunload",
    (event) => {
      if (mustAsk()) event.preventDefault();
    },
    { signal },
  );
}
