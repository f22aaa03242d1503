import { useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import type { Api } from "../api/client";
import { ApiError, NetworkError } from "../api/request";
import type { Picture } from "../api/types";
import { PictureSurface } from "../canvas/pictureSurface";
import type { StageViewport } from "../canvas/viewportStore";
import type { Size } from "../geometry/shapes";
import type { Session } from "../session/session";
import styles from "./Stage.module.css";
import { StageMessage } from "./StageMessage";

/** Pictures with more pixels, or longer sides, are left to the browser, which decodes what it paints of them. */
const MOST_PIXELS = 40e6;
const LONGEST_SIDE = 8192;

interface StagePictureProps {
  picture: Picture;
  session: Session;
  stage: StageViewport;
  api: Pick<Api, "thumbnailUrl">;
  /** Where a message takes the place of the picture. */
  frame: HTMLElement | null;
}

interface Loading {
  attempt: number;
  state: "loading" | "shown" | "failed";
  reason: string;
  /** It failed because the server was not there. */
  isLost: boolean;
  /** Address of the file in the browser, of a picture that is left to it. */
  large: string | null;
}

/** A picture's pixels: its thumbnail, enlarged, until the picture itself is there. */
export function StagePicture({ picture, session, stage, api, frame }: StagePictureProps) {
  const { id } = picture;
  const [loading, setLoading] = useState<Loading>(() => firstAttempt(0));
  const [hasThumbnail] = useState(() => !session.hasPixels(id));
  const canvas = useRef<HTMLCanvasElement>(null);
  const { attempt, state, large } = loading;

  useEffect(
    () =>
      session.state.subscribe((now, before) => {
        if (before.serverLost && !now.serverLost)
          setLoading((one) => (one.isLost ? firstAttempt(one.attempt + 1) : one));
      }),
    [session],
  );

  useEffect(() => {
    const ending = new AbortController();
    let surface: PictureSurface | null = null;
    let address: string | null = null;
    const show = async () => {
      const file = await session.pixels(id, ending.signal);
      const size = knownSize(session, id) ?? (await sizeOf(file));
      if (ending.signal.aborted || !canvas.current) return;
      stage.decoded(id, size);
      if (isLarge(size)) {
        address = URL.createObjectURL(file);
        setLoading((one) => ({ ...one, large: address }));
        return;
      }
      surface = new PictureSurface(canvas.current, file, size);
      await surface.drawn;
      if (!ending.signal.aborted) setLoading((one) => ({ ...one, state: "shown" }));
    };
    show().catch((error: unknown) => {
      if (!ending.signal.aborted) setLoading((one) => ({ ...one, state: "failed", ...whyNotShown(error) }));
    });
    return () => {
      ending.abort();
      surface?.close();
      if (address !== null) URL.revokeObjectURL(address);
    };
  }, [id, attempt, session, stage]);

  return (
    <>
      {hasThumbnail && state !== "shown" && (
        <img
          className={styles.thumbnail}
          src={api.thumbnailUrl(id)}
          alt=""
          draggable={false}
          onError={({ currentTarget }) => {
            currentTarget.hidden = true;
          }}
        />
      )}
      {large === null ? (
        <canvas key={attempt} ref={canvas} className={styles.image} data-state={state} data-shows={id} />
      ) : (
        <img
          ref={releaseImage}
          className={styles.image}
          data-state={state}
          data-shows={id}
          src={large}
          alt=""
          decoding="async"
          draggable={false}
          onLoad={() => {
            setLoading((one) => ({ ...one, state: "shown" }));
          }}
          onError={() => {
            setLoading((one) => ({ ...one, state: "failed", ...whyNotShown(null) }));
          }}
        />
      )}
      {frame &&
        state === "failed" &&
        createPortal(
          <StageMessage
            title={`${picture.name} cannot be shown`}
            text={loading.reason}
            onRetry={() => {
              setLoading((one) => firstAttempt(one.attempt + 1));
            }}
          />,
          frame,
        )}
    </>
  );
}

function firstAttempt(attempt: number): Loading {
  return { attempt, state: "loading", reason: "", isLost: false, large: null };
}

function knownSize(session: Session, id: number): Size | null {
  const { picture } = session.state.getState();
  if (picture?.id !== id || picture.width === null || picture.height === null) return null;
  return { width: picture.width, height: picture.height };
}

function isLarge({ width, height }: Size): boolean {
  return width * height > MOST_PIXELS || Math.max(width, height) > LONGEST_SIDE;
}

/** A picture's size, without decoding it; rejects where the browser does not know the file. */
function sizeOf(file: Blob): Promise<Size> {
  const address = URL.createObjectURL(file);
  const image = new Image();
  return new Promise<Size>((resolve, reject) => {
    image.onload = () => {
      resolve({ width: image.naturalWidth, height: image.naturalHeight });
    };
    image.onerror = reject;
    image.src = address;
  }).finally(() => {
    URL.revokeObjectURL(address);
    image.removeAttribute("src");
  });
}

function whyNotShown(error: unknown): Pick<Loading, "reason" | "isLost"> {
  const isServers = error instanceof NetworkError || error instanceof ApiError;
  const reason = isServers
    ? error.message
    : "The browser cannot decode it; it may be too large. Its masks are kept and can still be changed.";
  return { reason, isLost: error instanceof NetworkError };
}

/** A picture that is gone from the page shall neither be loaded on nor stay in memory. */
function releaseImage(image: HTMLImageElement): () => void {
  return () => {
    image.removeAttribute("src");
  };
}
