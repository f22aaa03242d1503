import type { Point } from "../geometry/shapes";
import { wheelFactor } from "../geometry/viewport";
import type { Session } from "../session/session";
import { Gestures, type PointerInput } from "../tools/gestures";
import type { Hand } from "../tools/hand";
import { Wheel } from "../tools/wheel";
import { cursorFor } from "./cursor";
import type { StageViewport } from "./viewportStore";

/**
 * Listens to the pointer over the stage, and to the keys that change what it means; returns what ends that.
 *
 * @param root - the stage's element.
 */
export function listenToPointer(root: HTMLElement, session: Session, stage: StageViewport, hand: Hand): () => void {
  const gestures = new Gestures(hand);
  const wheel = new Wheel();
  const ending = new AbortController();
  const { signal } = ending;
  const mac = /mac/i.test(navigator.platform);
  let inverted = false;

  function at(event: MouseEvent): Point {
    const corner = root.getBoundingClientRect();
    return { x: event.clientX - corner.left, y: event.clientY - corner.top };
  }

  function input(event: PointerEvent): PointerInput {
    // A Mac's Control with a click is its right button.
    const button = mac && event.ctrlKey && event.button === 0 ? 2 : event.button;
    const kind = event.pointerType === "touch" || event.pointerType === "pen" ? event.pointerType : "mouse";
    return { ...at(event), id: event.pointerId, kind, button, inverted: event.altKey, time: event.timeStamp };
  }

  function showCursor(): void {
    const pointer = { pans: gestures.pans, busy: gestures.busy, inverted };
    root.dataset["cursor"] = cursorFor(session.state.getState(), hand.marked, pointer);
  }

  function listen<K extends keyof HTMLElementEventMap>(
    type: K,
    handle: (event: HTMLElementEventMap[K]) => void,
    passive = true,
  ): void {
    root.addEventListener(
      type,
      (event) => {
        handle(event);
        showCursor();
      },
      { signal, passive },
    );
  }

  listen("pointerdown", (event) => {
    // Lets the stage have the pointer's further events wherever it goes. A pointer that is gone already has none.
    try {
      root.setPointerCapture(event.pointerId);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      return;
    }
    gestures.down(input(event));
  });
  // Follows pointerdown, and knows the system's idea of a double click.
  listen(
    "mousedown",
    (event) => {
      if (event.detail > 1) gestures.pressedAgain();
      // The middle button would begin the browser's own scrolling.
      if (event.button === 1) event.preventDefault();
    },
    false,
  );
  listen("pointermove", (event) => {
    inverted = event.altKey;
    gestures.move(input(event));
  });
  // Comes ahead of pointermove, which waits for the next frame: the mask can be asked for in the meantime.
  root.addEventListener(
    "pointerrawupdate",
    (event) => {
      if (!gestures.busy) gestures.move(input(event as PointerEvent));
    },
    { signal, passive: true },
  );
  listen("pointerup", (event) => {
    gestures.up(input(event));
  });
  listen("pointercancel", (event) => {
    gestures.cancel(event.pointerId);
  });
  listen("lostpointercapture", (event) => {
    gestures.cancel(event.pointerId);
  });
  listen("pointerleave", (event) => {
    gestures.leave(event.timeStamp);
  });
  listen(
    "contextmenu",
    (event) => {
      event.preventDefault();
    },
    false,
  );
  listen(
    "wheel",
    (event) => {
      event.preventDefault();
      const { deltaX, deltaY, deltaMode, ctrlKey: ctrl, shiftKey: shift } = event;
      const meaning = wheel.read({ deltaX, deltaY, deltaMode, ctrl, shift });
      if (meaning.does === "pan") stage.panBy(meaning.dx, meaning.dy);
      else stage.zoomAt(at(event), wheelFactor(meaning.delta, meaning.pinch));
    },
    false,
  );

  function onKey(event: KeyboardEvent): void {
    if (event.key === "Alt") inverted = event.type === "keydown";
    else if (event.key === " ") onSpace(event);
    else if (event.key === "Escape" && event.type === "keydown" && gestures.drags) {
      gestures.escape();
      event.preventDefault();
    } else return;
    showCursor();
  }

  function onSpace(event: KeyboardEvent): void {
    if (event.type === "keyup") {
      gestures.space(false);
      return;
    }
    // A button that has the focus since it was clicked shall not be pressed while the pointer is at work on the stage.
    if (isTextField(event.target) || !root.matches(":hover")) return;
    event.preventDefault();
    if (!event.repeat) gestures.space(true);
  }

  window.addEventListener("keydown", onKey, { signal, capture: true });
  window.addEventListener("keyup", onKey, { signal, capture: true });
  window.addEventListener(
    "blur",
    () => {
      inverted = false;
      gestures.space(false);
      showCursor();
    },
    { signal },
  );

  const unsubscribe = session.state.subscribe((state, before) => {
    // What was begun on one picture shall not end on another.
    if (state.picture?.id !== before.picture?.id) gestures.escape();
    showCursor();
  });
  showCursor();
  return () => {
    ending.abort();
    unsubscribe();
  };
}

function isTextField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}
