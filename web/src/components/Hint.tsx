import { useEffect, useState } from "react";
import styles from "./Hint.module.css";
import { hintText } from "./hintText";
import { recall, remember } from "./remembered";
import { decoderText } from "./statusText";
import { useSession, useStudio } from "./StudioContext";

const KNOWN = "knows-how";

/** One line that says what to do, until the first object is there; or why nothing can be done. */
export function Hint() {
  const session = useSession();
  const [known, setKnown] = useState(() => recall(KNOWN) !== null);
  const hasObjects = useStudio((state) => state.objects.length > 0);
  const text = useStudio(hintText);
  const failure = useStudio((state) => (state.decoder === "failed" ? decoderText(state) : null));

  useEffect(
    () =>
      session.state.subscribe(({ objects }) => {
        if (objects.length === 0 || recall(KNOWN) !== null) return;
        remember(KNOWN, "yes");
        setKnown(true);
      }),
    [session],
  );

  if (failure !== null) {
    return (
      <p className={styles.hint} role="alert">
        {failure}
      </p>
    );
  }
  if (known || hasObjects || text === null) return null;
  return (
    <p className={styles.hint} data-testid="hint">
      <strong>{text}</strong>
    </p>
  );
}
