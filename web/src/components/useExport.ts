import { useEffect, useRef, useState } from "react";
import { saveBlob } from "../cutouts/cutouts";
import type { StudioState } from "../session/session";
import { messageOf } from "./messageOf";
import { useContextOfStudio } from "./StudioContext";

export interface ExportChoice {
  format: string;
  withPictures: boolean;
  /** All where it is empty. */
  pictures: readonly number[];
}

export type ExportState =
  | { step: "choosing" }
  /** What was done last is still on its way to the server. */
  | { step: "saving" }
  | { step: "writing" }
  | { step: "done"; name: string; losses: readonly string[] }
  | { step: "failed"; reason: string };

/** Exporting, which waits until the server has all that was done. It ends when the dialog goes. */
export function useExport(): { state: ExportState; start(choice: ExportChoice): void } {
  const { api, session } = useContextOfStudio();
  const [state, setState] = useState<ExportState>({ step: "choosing" });
  const abort = useRef<AbortController | null>(null);

  useEffect(
    () => () => {
      abort.current?.abort();
    },
    [],
  );

  async function run(choice: ExportChoice, signal: AbortSignal): Promise<void> {
    setState({ step: "saving" });
    await saved(session.state, signal);
    setState({ step: "writing" });
    const { format, ...rest } = choice;
    const download = await api.exportFile(format, rest, signal);
    saveBlob(download.content, download.name);
    setState({ step: "done", name: download.name, losses: download.losses });
  }

  return {
    state,
    start: (choice) => {
      abort.current?.abort();
      abort.current = new AbortController();
      const { signal } = abort.current;
      run(choice, signal).catch((error: unknown) => {
        if (!signal.aborted) setState({ step: "failed", reason: messageOf(error) });
      });
    },
  };
}

interface Saving {
  getState(): StudioState;
  subscribe(listener: (state: StudioState) => void): () => void;
}

/** Resolves once nothing waits to be saved. */
function saved(store: Saving, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = store.subscribe(check);
    function check({ unsaved, decoding }: StudioState): void {
      if (unsaved > 0 || decoding) return;
      end();
      resolve();
    }
    signal.addEventListener("abort", () => {
      end();
      reject(new Error("The export was given up."));
    });
    check(store.getState());
  });
}
