import { useEffect, useState } from "react";
import type { FormatChoice } from "../api/types";
import { messageOf } from "./messageOf";
import { useContextOfStudio } from "./StudioContext";

export interface Formats {
  /** Null until the server has said. */
  formats: readonly FormatChoice[] | null;
  error: string | null;
}

/** The formats that masks may be written in and read from. */
export function useFormats(): Formats {
  const { api } = useContextOfStudio();
  const [known, setKnown] = useState<Formats>({ formats: null, error: null });
  useEffect(() => {
    const abort = new AbortController();
    api.formats(abort.signal).then(
      (formats) => {
        setKnown({ formats, error: null });
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setKnown({ formats: null, error: messageOf(error) });
      },
    );
    return () => {
      abort.abort();
    };
  }, [api]);
  return known;
}
