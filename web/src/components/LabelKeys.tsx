import { labelByNumber } from "../actions/labelByNumber";
import styles from "./LabelKeys.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

/** The label that the selected object has, or that new ones get. */
function useLabelNow(): string | null {
  return useStudio(({ objects, selected, stickyLabel }) =>
    selected === null ? stickyLabel : (objects.find(({ id }) => id === selected)?.label ?? null),
  );
}

/** The labels with number keys, which a click gives as their keys do. */
export function LabelKeys() {
  const studio = useContextOfStudio();
  const labels = useStudio((state) => state.labels);
  const now = useLabelNow();
  if (labels.length === 0) return null;
  return (
    <div className={styles.keys} role="group" aria-label="Labels by number" data-testid="label-keys">
      {labels.slice(0, labelByNumber.keys.length).map((label, index) => (
        <button
          key={label}
          type="button"
          className={styles.key}
          aria-pressed={label === now}
          title={labelByNumber.hint}
          onPointerDown={(event) => {
            event.preventDefault();
          }}
          onMouseDown={(event) => {
            event.preventDefault();
          }}
          onClick={() => {
            labelByNumber.run(studio, labelByNumber.keys[index] ?? null);
          }}
        >
          <kbd>{labelByNumber.keys[index]}</kbd>
          <span className={styles.label}>{label}</span>
        </button>
      ))}
    </div>
  );
}
