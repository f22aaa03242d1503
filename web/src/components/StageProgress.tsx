import { useStore } from "zustand";
import type { Session, StudioState } from "../session/session";
import styles from "./Stage.module.css";

type Progress = Pick<
  StudioState,
  "picture" | "embedding" | "decoder" | "decoding" | "waiting" | "tool" | "proposals" | "project"
>;

/** What the picture waits for, in a few words; null if for nothing. */
export function progressText({ picture, embedding, decoder, waiting, tool, proposals }: Progress): string | null {
  if (!picture || picture.error !== null || embedding === "failed" || decoder === "failed") return null;
  const kept = waiting.length > 0 ? " Your click is kept." : "";
  if (embedding === "none" || embedding === "waiting") return `Encoding…${kept}`;
  if (embedding === "loading") return `Almost there…${kept}`;
  if (decoder === "preparing") return `Preparing the decoder, once for this model…${kept}`;
  if (decoder === "loading") return `Loading the decoder…${kept}`;
  if (tool === "everything" && proposals === null) return "Looking for everything…";
  return null;
}

/** A sign in the stage's corner while the picture cannot be worked on yet. */
export function StageProgress({ session }: { session: Session }) {
  const text = useStore(session.state, progressText);
  const name = useStore(session.state, (state) => state.picture?.name);
  if (text === null) return null;
  return (
    <div className={styles.progress} role="status" data-testid="stage-progress">
      <span className={styles.spinner} aria-hidden />
      <span className={styles.progressName}>{name}</span>
      <span>{text}</span>
    </div>
  );
}
