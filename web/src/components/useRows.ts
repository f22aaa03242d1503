import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Rows beyond the visible ones, so that scrolling shows no gaps. */
const SPARE = 6;

export interface Rows {
  /** Goes to the element that scrolls. */
  scroller: RefObject<HTMLDivElement | null>;
  /** The rows to paint are those from `first` up to `last`, exclusive. */
  first: number;
  last: number;
  /** Scroll until a row is in sight. */
  reveal(index: number): void;
}

/** Which rows of a long list of equally high ones are in sight. */
export function useRows(count: number, rowHeight: number): Rows {
  const scroller = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ first: 0, last: SPARE });

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => {
      const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - SPARE);
      const last = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + SPARE;
      setSeen((before) => (before.first === first && before.last === last ? before : { first, last }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [count, rowHeight]);

  const reveal = useCallback(
    (index: number) => {
      const element = scroller.current;
      if (element === null || index < 0) return;
      const top = index * rowHeight;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + rowHeight > element.scrollTop + element.clientHeight) {
        element.scrollTop = top + rowHeight - element.clientHeight;
      }
    },
    [rowHeight],
  );

  return { scroller, first: Math.min(seen.first, count), last: Math.min(seen.last, count), reveal };
}
