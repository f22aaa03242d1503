import { useStore } from "zustand";
import { decoderText, encodingText } from "./statusText";
import styles from "./StatusBar.module.css";
import { useContextOfStudio, useStudio } from "./StudioContext";

function Zoom() {
  const { stage } = useContextOfStudio();
  const percent = useStore(stage.state, ({ viewport, picture }) => (picture === null ? null : viewport.scale * 100));
  if (percent === null) return null;
  return <span>{percent < 10 ? percent.toFixed(1) : Math.round(percent).toLocaleString("en")}%</span>;
}

function PictureSize() {
  const size = useStudio(({ picture }) =>
    picture?.width && picture.height ? `${String(picture.width)} × ${String(picture.height)}` : null,
  );
  return size === null ? null : <span>{size}</span>;
}

/** The bar at the bottom: what is being done, here and by the server. */
export function StatusBar() {
  const saving = useStudio((state) => state.saving);
  const unsaved = useStudio((state) => state.unsaved);
  const embedding = useStudio((state) => state.embedding);
  const decoder = useStudio((state) => state.decoder);
  const backend = useStudio((state) => state.backend);
  const decoding = useStudio((state) => state.decoding);
  const serverLost = useStudio((state) => state.serverLost);
  const encodingSaid = useStudio(encodingText);
  const decoderSaid = useStudio(decoderText);
  return (
    <footer
      className={styles.bar}
      data-testid="status"
      data-saving={saving}
      data-unsaved={unsaved}
      data-embedding={embedding}
      data-decoder={decoder}
      data-backend={backend ?? ""}
      data-server={serverLost ? "lost" : "there"}
    >
      {serverLost && <span className={styles.lost}>Server not reached, trying again…</span>}
      {encodingSaid !== "" && <span>{encodingSaid}</span>}
      <span data-kind={decoder === "failed" ? "bad" : undefined} title="What decodes masks in this page">
        {decoderSaid}
      </span>
      <span className={styles.decoding} data-on={decoding} aria-hidden={!decoding}>
        Decoding…
      </span>
      <span className={styles.space} />
      {unsaved > 0 && (
        <span>
          {unsaved.toLocaleString("en")} {unsaved === 1 ? "change" : "changes"} to send
        </span>
      )}
      <PictureSize />
      <Zoom />
    </footer>
  );
}
