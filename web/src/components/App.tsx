import { useEffect } from "react";
import type { StageViewport } from "../canvas/viewportStore";
import styles from "./App.module.css";
import { Dialogs } from "./Dialogs";
import { DropZone } from "./DropZone";
import { Hint } from "./Hint";
import { Notices } from "./Notices";
import { ObjectsPanel } from "./ObjectsPanel";
import { PicturesPanel } from "./PicturesPanel";
import { ProposalsBar } from "./ProposalsBar";
import { Readings } from "./Readings";
import { Stage } from "./Stage";
import { StartScreen } from "./StartScreen";
import { StatusBar } from "./StatusBar";
import { useContextOfStudio, usePage, useStudio } from "./StudioContext";
import { ToolBar } from "./ToolBar";
import { TopBar } from "./TopBar";

function useTitle(): void {
  const name = useStudio(({ picture, project }) => picture?.name ?? project?.name);
  useEffect(() => {
    document.title = name === undefined ? "anymask studio" : `${name} – anymask studio`;
  }, [name]);
}

/** A label that was being typed belongs to the picture that one leaves. */
function useLabellingEnd(): void {
  const { page } = useContextOfStudio();
  const picture = useStudio((state) => state.picture?.id);
  useEffect(() => {
    page.stopLabelling();
  }, [page, picture]);
}

/** The whole page: bars and panels around the stage. */
export function App({ stage }: { stage: StageViewport }) {
  const { api, session } = useContextOfStudio();
  const picturesShown = usePage((state) => state.picturesShown);
  useTitle();
  useLabellingEnd();
  return (
    <div className={styles.page} data-pictures={picturesShown}>
      <TopBar />
      <ToolBar />
      {picturesShown && <PicturesPanel />}
      <main className={styles.stage} aria-label="Picture">
        <Stage session={session} stage={stage} api={api} />
        <StartScreen />
        <Hint />
        <Readings />
        <ProposalsBar />
        <Notices />
      </main>
      <ObjectsPanel />
      <StatusBar />
      <Dialogs />
      <DropZone />
    </div>
  );
}
