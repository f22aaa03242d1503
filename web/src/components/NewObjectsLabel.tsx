import { X } from "lucide-react";
import { LabelInput } from "./LabelInput";
import styles from "./ObjectsPanel.module.css";
import { useContextOfStudio, usePage, useStudio } from "./StudioContext";

/** The label that new objects get, if one was chosen. */
export function NewObjectsLabel() {
  const { session, page } = useContextOfStudio();
  const label = useStudio((state) => state.stickyLabel);
  const labels = useStudio((state) => state.labels);
  const labelling = usePage((state) => state.labelling?.kind === "new");
  if (label === null && !labelling) return null;
  return (
    <div className={styles.newObjects} data-testid="sticky-label">
      <span className={styles.quiet}>New objects:</span>
      {labelling ? (
        <LabelInput
          label={label}
          labels={labels}
          onDone={(chosen) => {
            session.setStickyLabel(chosen);
            page.stopLabelling();
          }}
          onCancel={() => {
            page.stopLabelling();
          }}
        />
      ) : (
        <>
          <span className={styles.chip}>{label}</span>
          <button
            type="button"
            className={styles.clear}
            aria-label="New objects without a label"
            title="New objects without a label (0)"
            onClick={() => {
              session.setStickyLabel(null);
            }}
          >
            <X size={14} aria-hidden />
          </button>
        </>
      )}
    </div>
  );
}
