import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { Api } from "../api/client";
import { listenToPointer } from "../canvas/stageInput";
import { StagePainter } from "../canvas/stagePainter";
import type { StageViewport } from "../canvas/viewportStore";
import type { Session } from "../session/session";
import styles from "./Stage.module.css";
import { StageMessage } from "./StageMessage";
import { StagePicture } from "./StagePicture";
import { StageProgress } from "./StageProgress";

interface StageProps {
  session: Session;
  stage: StageViewport;
  api: Pick<Api, "thumbnailUrl">;
}

/** The picture with its masks, which takes the pointer. It fills what it lies in. */
export function Stage({ session, stage, api }: StageProps) {
  const root = useRef<HTMLDivElement>(null);
  const pictureLayer = useRef<HTMLDivElement>(null);
  const objects = useRef<HTMLCanvasElement>(null);
  const interaction = useRef<HTMLCanvasElement>(null);
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const picture = useStore(session.state, (state) => state.picture);

  useEffect(() => {
    if (!root.current || !pictureLayer.current || !objects.current || !interaction.current) return;
    const elements = {
      root: root.current,
      picture: pictureLayer.current,
      objects: objects.current,
      interaction: interaction.current,
    };
    const painter = new StagePainter(elements, session, stage);
    const stopListening = listenToPointer(elements.root, session, stage, painter.hand);
    const stopWatching = watchSize(elements.root, () => {
      painter.resize();
    });
    return () => {
      stopWatching();
      stopListening();
      painter.close();
    };
  }, [session, stage]);

  return (
    <div ref={setFrame} className={styles.frame}>
      <div
        ref={root}
        className={styles.stage}
        data-testid="stage"
        role="application"
        aria-label={picture ? `Picture ${picture.name}` : "No picture"}
      >
        <div ref={pictureLayer} className={styles.picture}>
          {picture && picture.error === null && (
            <StagePicture key={picture.id} picture={picture} session={session} stage={stage} api={api} frame={frame} />
          )}
        </div>
        <canvas ref={objects} className={styles.layer} data-layer="objects" />
        <canvas ref={interaction} className={styles.layer} data-layer="interaction" />
      </div>
      <StageProgress session={session} />
      {picture && picture.error !== null && (
        <StageMessage title={`${picture.name} cannot be shown`} text={picture.error} />
      )}
    </div>
  );
}

/** Calls back when an element's size in pixels of the screen changes; returns what ends it. */
function watchSize(element: HTMLElement, onChange: () => void): () => void {
  const observer = new ResizeObserver(onChange);
  observer.observe(element);
  let density: MediaQueryList | null = null;
  const followDensity = () => {
    density?.removeEventListener("change", onDensity);
    density = matchMedia(`(resolution: ${String(devicePixelRatio)}dppx)`);
    density.addEventListener("change", onDensity);
  };
  const onDensity = () => {
    onChange();
    followDensity();
  };
  followDensity();
  return () => {
    observer.disconnect();
    density?.removeEventListener("change", onDensity);
  };
}
