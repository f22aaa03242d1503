import { useEffect, useState } from "react";
import styles from "./Hint.module.css";
import { HINTS } from "./hintText";
import { recall, remember } from "./remembered";
import { decoderText } from "./statusText";
import { useSession, useStudio } from "./StudioContext";

const KNOWN = "knows-how";

/** One line that says what to do, until the first object is there; and what one waits for. */
export function Hint() {
  const session = useSession();
  const [known, setKnown] = useState(() => recall(KNOWN) !== null);
  const hasObjects = useStudio((state) => state.objects.length > 0);
  const shown = useStudio(
    ({ picture, embedding, selected }) =>
      picture !== null && picture.error === null && embedding !== "failed" && selected === null,
  );
  const tool = useStudio((state) => state.tool);
  const waits = useStudio((state) => (state.decoder === "ready" ? null : decoderText(state)));
  const failed = useStudio((state) => state.decoder === "failed");

  useEffect(
    () =>
      session.state.subscribe(({ objects }) => {
        if (objects.length === 0 || recall(KNOWN) !== null) return;
        remember(KNOWN, "yes");
        setKnown(true);
      }),
    [session],
  );

  if (failed) return <p className={styles.hint}>{waits}</p>;
  if (known || hasObjects || !shown) return null;
  return (
    <p className={styles.hint} data-testid="hint">
      <strong>{HINTS[tool]}</strong>
      {waits !== null && <span className={styles.waits}>{waits} Clicks are kept until then.</span>}
    </p>
  );
}
