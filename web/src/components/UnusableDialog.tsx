import { useEffect, useState } from "react";
import type { UnusableFiles } from "../api/types";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { messageOf } from "./messageOf";
import { useContextOfStudio } from "./StudioContext";
import styles from "./UnusableDialog.module.css";

/** Which files of the folder cannot be used as pictures, and why. */
export function UnusableDialog() {
  const { api, page } = useContextOfStudio();
  const [found, setFound] = useState<UnusableFiles | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    const end = new AbortController();
    api.unusable(end.signal).then(setFound, (error: unknown) => {
      if (!end.signal.aborted) setProblem(messageOf(error));
    });
    return () => {
      end.abort();
    };
  }, [api]);

  const more = found === null ? 0 : found.total - found.files.length;
  return (
    <Dialog
      title="Files that cannot be used"
      testId="unusable-dialog"
      onClose={page.closeDialog}
      footer={
        <Button primary data-focused onClick={page.closeDialog}>
          Close
        </Button>
      }
    >
      {problem !== null && (
        <p className={form.bad} role="alert">
          {problem}
        </p>
      )}
      {found === null && problem === null && <p className={form.quiet}>Loading…</p>}
      {found !== null && (
        <>
          <p className={form.quiet}>
            They are in the folder, but not in the list of pictures. Load the page again after a change.
          </p>
          <ul className={styles.list}>
            {found.files.map(({ name, reason }, index) => (
              <li key={index} className={styles.file} data-testid="unusable-file">
                <span className={styles.name}>{name}</span>
                <span className={form.quiet}>{reason}</span>
              </li>
            ))}
          </ul>
          {more > 0 && <p className={form.quiet}>And {more.toLocaleString("en")} more.</p>}
        </>
      )}
    </Dialog>
  );
}
