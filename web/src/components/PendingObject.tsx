import { LoaderCircle } from "lucide-react";
import { LabelInput } from "./LabelInput";
import styles from "./PendingObject.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

/** An object whose first click is still being answered. It can be labelled already. */
export function PendingObject({ id, labelling }: { id: string; labelling: boolean }) {
  const { session, page } = useContextOfStudio();
  const labels = useStudio((state) => state.labels);
  return (
    <div className={styles.pending} role="row">
      <div role="gridcell" className={styles.cell}>
        <LoaderCircle className={styles.turning} size={16} aria-hidden />
        {labelling ? (
          <LabelInput
            label={null}
            labels={labels}
            onDone={(label) => {
              if (label !== null) session.setLabel(id, label);
              page.stopLabelling();
            }}
            onCancel={() => {
              page.stopLabelling();
            }}
          />
        ) : (
          <span>New object…</span>
        )}
      </div>
    </div>
  );
}
