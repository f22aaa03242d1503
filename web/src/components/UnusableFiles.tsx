import { FileX } from "lucide-react";
import styles from "./UnusableFiles.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

/** Below the list of pictures: that files of the folder are not in it. */
export function UnusableFiles() {
  const { page } = useContextOfStudio();
  const count = useStudio((state) => state.project?.unusable ?? 0);
  if (count === 0) return null;
  return (
    <button
      type="button"
      className={styles.line}
      data-testid="unusable-files"
      onClick={() => {
        page.openDialog("unusable");
      }}
    >
      <FileX size={15} aria-hidden />
      {count === 1 ? "1 file cannot be used" : `${count.toLocaleString("en")} files cannot be used`}
    </button>
  );
}
