import { exportMasks } from "../actions/exportMasks";
import { nextPicture } from "../actions/nextPicture";
import { previousPicture } from "../actions/previousPicture";
import { TOP_BAR } from "../actions/registry";
import { showPictures } from "../actions/showPictures";
import { ActionButton } from "./ActionButton";
import { SavingState } from "./SavingState";
import { SetAsideNotice } from "./SetAsideNotice";
import { useStudio } from "./StudioContext";
import styles from "./TopBar.module.css";

function Position() {
  const position = useStudio(({ picture, pictures }) =>
    picture === null ? 0 : pictures.findIndex(({ id }) => id === picture.id) + 1,
  );
  const total = useStudio(({ project, pictures }) => Math.max(project?.pictures ?? 0, pictures.length));
  if (total === 0) return null;
  return (
    <span className={styles.position} data-testid="position">
      {position === 0 ? "–" : position.toLocaleString("en")} / {total.toLocaleString("en")}
    </span>
  );
}

function Name() {
  const name = useStudio(({ picture, project }) => picture?.name ?? project?.name ?? "anymask studio");
  const slash = name.lastIndexOf("/") + 1;
  return (
    <h1 className={styles.name} title={name}>
      <span className={styles.folder}>{name.slice(0, slash)}</span>
      {name.slice(slash)}
    </h1>
  );
}

/** The bar at the top: where one is, whether it is saved, and what concerns the whole project. */
export function TopBar() {
  return (
    <header className={styles.bar}>
      <ActionButton action={showPictures} side="below" />
      <div className={styles.place}>
        <ActionButton action={previousPicture} side="below" />
        <Position />
        <ActionButton action={nextPicture} side="below" />
      </div>
      <Name />
      <SetAsideNotice />
      <SavingState />
      <div className={styles.actions} role="toolbar" aria-label="Project">
        {TOP_BAR.map((action) => (
          <ActionButton key={action.name} action={action} side="below" labelled={action === exportMasks} />
        ))}
      </div>
    </header>
  );
}
