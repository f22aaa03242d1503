import { createStore } from "zustand/vanilla";
import type { Session, StudioState } from "../../src/session/session";
import { studioState } from "../actions/states";

export interface AnsweringSession {
  session: Session;
  /** The commands that it was given, with what they were given. */
  commands: [string, ...unknown[]][];
}

/** A session that writes down its commands and does nothing; `answers` are what it returns. */
export function answeringSession(
  state: Partial<StudioState>,
  answers: Partial<Record<keyof Session, unknown>> = {},
): AnsweringSession {
  const commands: [string, ...unknown[]][] = [];
  const store = createStore<StudioState>(() => studioState(state));
  const session = new Proxy({} as Session, {
    get: (_, name: keyof Session) =>
      name === "state"
        ? store
        : (...given: unknown[]) => {
            commands.push([name, ...given]);
            return answers[name];
          },
  });
  return { session, commands };
}
