import { memo, useMemo, useState } from "react";
import { saveBlob } from "../cutouts/saving";
import type { SetAsideObject } from "../session/session";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import form from "./form.module.css";
import { setAsideFile } from "./setAsideFile";
import styles from "./SetAsideDialog.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

/** Further ones come up as those before are decided about. */
const MOST_SHOWN = 100;

const WHEN = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

interface RowProps {
  one: SetAsideObject;
  picture: string;
  color: string;
  serverLost: boolean;
}

const Row = memo(function Row({ one, picture, color, serverLost }: RowProps) {
  const { session } = useContextOfStudio();
  const [isSure, setSure] = useState(false);
  const { id, state, at, reason, isBusy } = one;
  const name = state.label ?? "Object without a label";
  const isGone = state.status !== "present";

  return (
    <li className={styles.row} data-testid="set-aside-row">
      <div className={styles.what}>
        <span className={styles.chip} style={{ background: color }} aria-hidden />
        <span className={styles.name}>{isGone ? `Deletion of: ${name}` : name}</span>
        <time className={form.quiet} dateTime={at}>
          {WHEN.format(new Date(at))}
        </time>
      </div>
      <p className={styles.picture} title={picture}>
        {picture}
      </p>
      <p className={styles.reason}>{reason}</p>
      <div className={styles.buttons}>
        <Button
          disabled={isBusy}
          title="Make the object what it was to be. Undo takes that back."
          onClick={() => {
            session.retryAside(id);
          }}
        >
          Try again
        </Button>
        {!isGone && (
          <Button
            disabled={isBusy}
            title="Make another object of it, and leave the one that is there as it is."
            onClick={() => {
              session.keepAside(id);
            }}
          >
            Keep as a new object
          </Button>
        )}
        <Button
          disabled={isBusy}
          onClick={() => {
            if (isSure) session.discardAside(id);
            else setSure(true);
          }}
          onBlur={() => {
            setSure(false);
          }}
        >
          {isSure ? "Discard for good" : "Discard"}
        </Button>
      </div>
      {isBusy && serverLost && <p className={form.quiet}>It is done as soon as the server is back.</p>}
    </li>
  );
});

/** What the server did not take, and what can be done about it. */
export function SetAsideDialog() {
  const { page } = useContextOfStudio();
  const aside = useStudio((state) => state.aside);
  const pictures = useStudio((state) => state.pictures);
  const project = useStudio((state) => state.project);
  const serverLost = useStudio((state) => state.serverLost);
  const names = useMemo(() => new Map(pictures.map(({ id, name }) => [id, name])), [pictures]);
  const palette = project?.palette ?? [];

  return (
    <Dialog
      title="Set aside"
      testId="set-aside-dialog"
      onClose={page.closeDialog}
      footer={
        <>
          <Button
            disabled={aside.length === 0}
            title="All of these, with every mask, in one file"
            onClick={() => {
              const file = setAsideFile(project, names, aside);
              saveBlob(new Blob([file], { type: "application/json" }), "set-aside.json");
            }}
          >
            Download as JSON
          </Button>
          <Button primary data-focused onClick={page.closeDialog}>
            Close
          </Button>
        </>
      }
    >
      {aside.length === 0 ? (
        <p className={form.quiet}>Nothing is set aside: all that you made is saved, or on its way.</p>
      ) : (
        <>
          <p className={form.quiet}>
            These changes could not be saved. They are kept in this browser until you decide about them.
          </p>
          <ul className={styles.list}>
            {aside.slice(0, MOST_SHOWN).map((one) => (
              <Row
                key={one.id}
                one={one}
                picture={names.get(one.picture) ?? `Picture ${String(one.picture)}`}
                color={palette[one.state.color % Math.max(palette.length, 1)] ?? "transparent"}
                serverLost={serverLost}
              />
            ))}
          </ul>
          {aside.length > MOST_SHOWN && (
            <p className={form.quiet}>{`And ${(aside.length - MOST_SHOWN).toLocaleString("en")} more.`}</p>
          )}
        </>
      )}
    </Dialog>
  );
}
