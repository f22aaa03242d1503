import { ImageOff } from "lucide-react";
import { memo, useEffect, useState } from "react";
import type { Picture } from "../api/types";
import styles from "./PictureRow.module.css";
import { useContextOfStudio } from "./StudioContext";

interface Props {
  picture: Picture;
  /** Its place in the list, from 0. */
  index: number;
  total: number;
  current: boolean;
}

/** Rows that only fly by while one scrolls ask for nothing. */
const PATIENCE_MS = 100;
/** Letters at the end of a long name that are not cut off: names of cameras differ there. */
const KEPT_AT_END = 9;
const LONG = 15;

function Thumbnail({ picture }: { picture: number }) {
  const { api } = useContextOfStudio();
  const [wanted, setWanted] = useState(false);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      setWanted(true);
    }, PATIENCE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, []);
  if (failed) {
    return (
      <span className={styles.thumbnail}>
        <ImageOff size={18} strokeWidth={1.5} aria-hidden />
      </span>
    );
  }
  return (
    <span className={styles.thumbnail}>
      {wanted && (
        <img
          src={api.thumbnailUrl(picture)}
          alt=""
          draggable={false}
          decoding="async"
          fetchPriority="low"
          onError={() => {
            setFailed(true);
          }}
        />
      )}
    </span>
  );
}

/** A picture in the list. */
export const PictureRow = memo(function PictureRow({ picture, index, total, current }: Props) {
  const { session } = useContextOfStudio();
  const { id, name, objects, error } = picture;
  const slash = name.lastIndexOf("/") + 1;
  const end = name.length - slash > LONG ? name.length - KEPT_AT_END : name.length;
  return (
    <div
      id={`picture-${String(id)}`}
      className={styles.row}
      role="option"
      data-testid="picture-row"
      data-picture={id}
      aria-selected={current}
      aria-posinset={index + 1}
      aria-setsize={total}
      title={error === null ? name : `${name}: ${error}`}
      onClick={() => {
        session.openPicture(id);
      }}
    >
      {error === null ? (
        <Thumbnail picture={id} />
      ) : (
        <span className={styles.thumbnail} data-broken>
          <ImageOff size={18} strokeWidth={1.5} aria-hidden />
        </span>
      )}
      <span className={styles.text}>
        <span className={styles.name}>
          <span className={styles.start}>{name.slice(slash, end)}</span>
          <span className={styles.end}>{name.slice(end)}</span>
        </span>
        {slash > 0 && <span className={styles.folder}>{name.slice(0, slash - 1)}</span>}
      </span>
      {objects > 0 && (
        <span className={styles.count} aria-label={objects === 1 ? "1 object" : `${String(objects)} objects`}>
          {objects}
        </span>
      )}
    </div>
  );
});
