import { memo, useLayoutEffect, useRef, useState } from "react";
import type { ObjectState } from "../api/types";
import styles from "./ColorChip.module.css";
import { useSession, useStudio } from "./StudioContext";

const NONE: readonly string[] = [];

interface PaletteProps {
  object: ObjectState;
  anchor: DOMRect;
  onClose(): void;
}

function Palette({ object, anchor, onClose }: PaletteProps) {
  const session = useSession();
  const palette = useStudio(({ project }) => project?.palette ?? NONE);
  const popover = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    popover.current?.showPopover();
    popover.current?.querySelector<HTMLElement>("[aria-checked=true]")?.focus();
  }, []);
  return (
    <div
      ref={popover}
      popover="auto"
      className={styles.palette}
      role="radiogroup"
      aria-label="Colour"
      style={{
        left: Math.min(anchor.left, window.innerWidth - 190),
        top: Math.min(anchor.bottom + 4, window.innerHeight - 120),
      }}
      onKeyDown={(event) => {
        // Escape closes the palette, and means nothing else here.
        event.stopPropagation();
      }}
      onToggle={(event) => {
        if (event.newState === "closed") onClose();
      }}
    >
      {palette.map((color, index) => (
        <button
          key={color}
          type="button"
          role="radio"
          aria-checked={index === object.color % palette.length}
          aria-label={`Colour ${String(index + 1)}`}
          className={styles.color}
          style={{ background: color }}
          onClick={() => {
            session.setColor(object.id, index);
            onClose();
          }}
        />
      ))}
    </div>
  );
}

/** An object's colour; a click offers the others. */
export const ColorChip = memo(function ColorChip({ object, tabIndex }: { object: ObjectState; tabIndex: 0 | -1 }) {
  const color = useStudio(({ project }) => project?.palette[object.color % project.palette.length]);
  const [anchor, setAnchor] = useState<DOMRect | null>(null);
  return (
    <>
      <button
        type="button"
        className={styles.chip}
        style={{ background: color }}
        tabIndex={tabIndex}
        aria-label="Change the colour"
        title="Change the colour"
        onClick={(event) => {
          event.stopPropagation();
          setAnchor(event.currentTarget.getBoundingClientRect());
        }}
      />
      {anchor !== null && (
        <Palette
          object={object}
          anchor={anchor}
          onClose={() => {
            setAnchor(null);
          }}
        />
      )}
    </>
  );
});
