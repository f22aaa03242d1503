import { useEffect, useState, type SyntheticEvent } from "react";
import { createPortal } from "react-dom";
import type { Api } from "../api/client";
import { NetworkError, request } from "../api/request";
import type { Picture } from "../api/types";
import type { StageViewport } from "../canvas/viewportStore";
import type { Session } from "../session/session";
import styles from "./Stage.module.css";
import { StageMessage } from "./StageMessage";

/** Pictures with more pixels are decoded when they are painted, at the size that is needed then. */
const DECODED_AHEAD = 40e6;

interface StagePictureProps {
  picture: Picture;
  session: Session;
  stage: StageViewport;
  api: Pick<Api, "imageUrl" | "thumbnailUrl">;
  /** Where a message takes the place of the picture. */
  frame: HTMLElement | null;
}

interface Loading {
  attempt: number;
  state: "loading" | "shown" | "failed";
  reason: string;
  /** It failed because the server was not there. */
  isLost: boolean;
}

/** A picture's pixels: its thumbnail, enlarged, until the picture itself is there. */
export function StagePicture({ picture, session, stage, api, frame }: StagePictureProps) {
  const [loading, setLoading] = useState<Loading>({ attempt: 0, state: "loading", reason: "", isLost: false });
  const address = api.imageUrl(picture.id);

  useEffect(
    () =>
      session.state.subscribe((state, before) => {
        if (before.serverLost && !state.serverLost) setLoading((now) => (now.isLost ? again(now) : now));
      }),
    [session],
  );

  async function show({ currentTarget: image }: SyntheticEvent<HTMLImageElement>): Promise<void> {
    const { naturalWidth: width, naturalHeight: height } = image;
    stage.decoded(picture.id, { width, height });
    try {
      if (width * height <= DECODED_AHEAD) await image.decode();
      setLoading((now) => ({ ...now, state: "shown" }));
    } catch {
      await fail();
    }
  }

  async function fail(): Promise<void> {
    const failure = await whyNotShown(address);
    setLoading((now) => ({ ...now, state: "failed", ...failure }));
  }

  return (
    <>
      {loading.state !== "shown" && (
        <img
          className={styles.thumbnail}
          src={api.thumbnailUrl(picture.id)}
          alt=""
          draggable={false}
          onError={({ currentTarget }) => {
            currentTarget.hidden = true;
          }}
        />
      )}
      <img
        key={loading.attempt}
        ref={releaseImage}
        className={styles.image}
        data-state={loading.state}
        src={address}
        alt=""
        decoding="async"
        draggable={false}
        onLoad={(event) => void show(event)}
        onError={() => void fail()}
      />
      {frame &&
        loading.state === "failed" &&
        createPortal(
          <StageMessage
            title={`${picture.name} cannot be shown`}
            text={loading.reason}
            onRetry={() => {
              setLoading(again);
            }}
          />,
          frame,
        )}
    </>
  );
}

function again({ attempt }: Loading): Loading {
  return { attempt: attempt + 1, state: "loading", reason: "", isLost: false };
}

/** Why the browser does not show a picture; an <img> itself does not tell. */
async function whyNotShown(address: string): Promise<Pick<Loading, "reason" | "isLost">> {
  try {
    const response = await request(address);
    await response.body?.cancel();
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error), isLost: error instanceof NetworkError };
  }
  const reason = "The browser cannot decode it; it may be too large. Its masks are kept and can still be changed.";
  return { reason, isLost: false };
}

/** A picture that is gone from the page shall neither be loaded on nor stay in memory. */
function releaseImage(image: HTMLImageElement): () => void {
  return () => {
    image.removeAttribute("src");
  };
}
