import { createContext, useContext, type ReactNode } from "react";
import { useStore } from "zustand";
import type { Action, ActionContext } from "../actions/action";
import { isMac } from "../actions/keys";
import type { PageState } from "../actions/page";
import type { Api } from "../api/client";
import type { Session, StudioState } from "../session/session";

/** All that components share. It never changes, so that nothing is painted again because of it. */
export interface Studio extends ActionContext {
  api: Api;
}

const Context = createContext<Studio | null>(null);

export function StudioProvider({ studio, children }: { studio: Studio; children: ReactNode }) {
  return <Context value={studio}>{children}</Context>;
}

export function useContextOfStudio(): Studio {
  const studio = useContext(Context);
  if (studio === null) throw new Error("A part of the studio was used outside of StudioProvider.");
  return studio;
}

export function useSession(): Session {
  return useContextOfStudio().session;
}

/** A part of the session's state; the component is painted again only when that part is another. */
export function useStudio<T>(select: (state: StudioState) => T): T {
  return useStore(useContextOfStudio().session.state, select);
}

/** A part of the page's own state. */
export function usePage<T>(select: (state: PageState) => T): T {
  return useStore(useContextOfStudio().page.state, select);
}

/** Runs an action as its button does. */
export function useRun(): (action: Action) => void {
  const studio = useContextOfStudio();
  return (action) => {
    action.run(studio, null);
  };
}

/** Whether keys are shown as on a Mac. */
export const MAC = isMac(navigator.platform);
