import { nextReading } from "../actions/nextReading";
import { keyText } from "../actions/keys";
import styles from "./Readings.module.css";
import { MAC, useSession, useStudio } from "./StudioContext";

const NAMES = ["Small", "Medium", "Large"];

/** What one click may mean, from small to large, with what the model promises of each. */
export function Readings() {
  const session = useSession();
  const readings = useStudio((state) => (state.masksHidden ? null : state.readings));
  if (readings === null || readings.candidates.length < 2) return null;
  return (
    <div
      className={styles.readings}
      data-testid="readings"
      data-chosen={readings.chosen}
      role="group"
      aria-label="What the click means"
    >
      {readings.candidates.map(({ score }, index) => (
        <button
          key={index}
          type="button"
          className={styles.reading}
          data-testid={`reading-${String(index)}`}
          aria-pressed={index === readings.chosen}
          title={`Predicted IoU ${score.toFixed(3)}`}
          onPointerDown={(event) => {
            event.preventDefault();
          }}
          onMouseDown={(event) => {
            event.preventDefault();
          }}
          onClick={() => {
            session.chooseReading(index);
          }}
        >
          {NAMES[index] ?? String(index + 1)} <span className={styles.score}>{score.toFixed(2)}</span>
        </button>
      ))}
      <kbd title={nextReading.label}>{keyText(nextReading.keys[0] ?? "", MAC)}</kbd>
    </div>
  );
}
