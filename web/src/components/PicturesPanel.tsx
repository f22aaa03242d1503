import { useDeferredValue, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { Picture } from "../api/types";
import { findPictures, stepInList } from "./pictureSearch";
import { PictureRow } from "./PictureRow";
import styles from "./PicturesPanel.module.css";
import { useContextOfStudio, usePage, useSession, useStudio } from "./StudioContext";
import { UnusableFiles } from "./UnusableFiles";
import { useRows } from "./useRows";

const ROW_HEIGHT = 56;

function PictureList({ pictures }: { pictures: readonly Picture[] }) {
  const session = useSession();
  const current = useStudio(({ picture }) => picture?.id ?? null);
  const { scroller, first, last, reveal } = useRows(pictures.length, ROW_HEIGHT);
  const index = pictures.findIndex(({ id }) => id === current);

  useEffect(() => {
    reveal(index);
  }, [index, reveal]);

  function onKeyDown(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_HEIGHT) - 1);
    const next = stepInList(event.key, index, pictures.length, page);
    if (next === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const picture = pictures[next];
    if (picture && next !== index) session.openPicture(picture.id);
  }

  return (
    <div
      ref={scroller}
      className={styles.list}
      data-testid="picture-list"
      role="listbox"
      aria-label="Pictures"
      aria-activedescendant={index >= first && index < last ? `picture-${String(current)}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: pictures.length * ROW_HEIGHT }}>
        <div role="presentation" style={{ paddingTop: first * ROW_HEIGHT }}>
          {pictures.slice(first, last).map((picture, place) => (
            <PictureRow
              key={picture.id}
              picture={picture}
              index={first + place}
              total={pictures.length}
              current={picture.id === current}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

/** The pictures of the project, at the left. */
export function PicturesPanel() {
  const { session, page } = useContextOfStudio();
  const pictures = useStudio((state) => state.pictures);
  const searching = usePage((state) => state.searching);
  const [sought, setSought] = useState("");
  const deferred = useDeferredValue(sought);
  const found = useMemo(() => findPictures(pictures, deferred), [pictures, deferred]);
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (searching) field.current?.focus();
  }, [searching]);

  return (
    <section className={styles.panel} aria-label="Pictures">
      <div className={styles.search}>
        <input
          ref={field}
          type="search"
          className={styles.field}
          data-testid="picture-search"
          aria-label="Find a picture by name"
          placeholder="Find a picture"
          onFocus={(event) => {
            event.currentTarget.select();
          }}
          onBlur={() => {
            page.endSearch();
          }}
          autoComplete="off"
          spellCheck={false}
          value={sought}
          onChange={(event) => {
            setSought(event.target.value);
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              setSought("");
              event.currentTarget.blur();
            } else if (event.key === "Enter") {
              const first = findPictures(pictures, sought)[0];
              if (first) session.openPicture(first.id);
              event.currentTarget.blur();
            }
          }}
        />
      </div>
      {found.length === 0 && sought !== "" ? (
        <p className={styles.nothing}>No picture is called “{sought}”.</p>
      ) : (
        <PictureList pictures={found} />
      )}
      <UnusableFiles />
    </section>
  );
}
