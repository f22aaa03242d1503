import { CircleAlert, CloudCheck, CloudOff, LoaderCircle } from "lucide-react";
import styles from "./SavingState.module.css";
import { savingText } from "./savingText";
import { useStudio } from "./StudioContext";

const ICONS = { saved: CloudCheck, saving: LoaderCircle, offline: CloudOff, failed: CircleAlert };
const EXPLAINED = {
  saved: "Everything is saved.",
  saving: "Changes are on their way.",
  offline: "The server cannot be reached. Changes are kept in this browser and sent when it is back; go on working.",
  failed: "Changes could not be saved. They are kept as long as this page stays open.",
};

/** Whether what was made is saved; said aloud only when it is not. */
export function SavingState() {
  const state = useStudio(({ saving, serverLost }) => (serverLost && saving !== "failed" ? "offline" : saving));
  const text = useStudio(savingText);
  const Icon = ICONS[state];
  return (
    <div className={styles.saving} data-state={state} title={EXPLAINED[state]}>
      <Icon size={16} strokeWidth={1.75} aria-hidden />
      <span>{text}</span>
      <span className="visually-hidden" role="status">
        {state === "offline" || state === "failed" ? EXPLAINED[state] : ""}
      </span>
    </div>
  );
}
