import { TriangleAlert } from "lucide-react";
import { showSetAside } from "../actions/showSetAside";
import styles from "./SetAsideNotice.module.css";
import { useRun, useStudio } from "./StudioContext";

/** Stays as long as the person has not decided about all that the server did not take. */
export function SetAsideNotice() {
  const run = useRun();
  const count = useStudio((state) => state.aside.length);
  const text = `${count.toLocaleString("en")} set aside`;
  return (
    <div role="status">
      {count > 0 && (
        <button
          type="button"
          className={styles.notice}
          data-testid="set-aside-notice"
          title="Changes that could not be saved. They are kept in this browser until you decide about them."
          onClick={() => {
            run(showSetAside);
          }}
        >
          <TriangleAlert size={15} aria-hidden />
          {text}
        </button>
      )}
    </div>
  );
}
