import { useEffect, useState } from "react";
import styles from "./DropZone.module.css";
import { useContextOfStudio } from "./StudioContext";

function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** Takes files that are dropped anywhere on the page, and says so while one is over it. */
export function DropZone() {
  const { page, session } = useContextOfStudio();
  const [over, setOver] = useState(false);

  useEffect(() => {
    // Without this the browser would leave the page to show the file.
    const onDragOver = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      setOver(false);
      const item = event.dataTransfer?.items[0];
      const file = event.dataTransfer?.files[0];
      if (file === undefined) return;
      if (event.dataTransfer?.files.length !== 1 || item?.webkitGetAsEntry()?.isDirectory === true) {
        session.notify("warning", "Drop one file to import; a folder of files goes into a ZIP first.");
      } else {
        page.importFile(file);
      }
    };
    window.addEventListener("dragover", onDragOver);
    window.addEventListener("dragleave", onDragLeave);
    window.addEventListener("drop", onDrop);
    return () => {
      window.removeEventListener("dragover", onDragOver);
      window.removeEventListener("dragleave", onDragLeave);
      window.removeEventListener("drop", onDrop);
    };
  }, [page, session]);

  return over ? <div className={styles.zone}>Drop a file of masks to import it</div> : null;
}
