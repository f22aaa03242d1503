import { useStudio } from "./StudioContext";
import styles from "./StartScreen.module.css";

/** What stands in the middle while there is no picture to show. */
export function StartScreen() {
  const project = useStudio((state) => state.project);
  const serverLost = useStudio((state) => state.serverLost);
  const empty = useStudio((state) => state.project !== null && state.project.pictures === 0);
  const hasPicture = useStudio((state) => state.picture !== null);
  if (hasPicture) return null;
  if (project === null && serverLost) {
    return (
      <div className={styles.screen} role="status">
        <h2>The studio’s server is not there</h2>
        <p>
          Start it again with <code>anymask studio FOLDER</code>. This page goes on by itself.
        </p>
      </div>
    );
  }
  if (empty) {
    return (
      <div className={styles.screen} role="status">
        <h2>No pictures in {project?.name}</h2>
        <p>Put some into the folder (JPEG, PNG, TIFF, WebP…) and start the studio again.</p>
      </div>
    );
  }
  return (
    <div className={styles.screen} data-quiet role="status">
      <p>Opening…</p>
    </div>
  );
}
