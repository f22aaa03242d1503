import type { StoreApi } from "zustand/vanilla";
import type { Size } from "../geometry/shapes";
import type { Viewport } from "../geometry/viewport";

/** What the page may show of the stage, such as the zoom in the status bar. Replaced, never changed. */
export interface StageState {
  viewport: Viewport;
  /** The stage's own size in CSS pixels. */
  window: Size;
  /** The picture's size in pixels; null while none is shown. */
  picture: Size | null;
  /** The whole picture is shown, and stays so when the window changes its size. */
  fitted: boolean;
}

/** What keys and buttons do with the stage. All of it does nothing while no picture is shown. */
export interface StageControls {
  readonly state: StoreApi<StageState>;
  /** One step nearer, about the middle of the window. */
  zoomIn(): void;
  zoomOut(): void;
  /** The whole picture in the window. */
  fit(): void;
  /** One pixel of the picture is one of the screen, about the middle of the window. */
  actualSize(): void;
  /** Move the picture by CSS pixels. */
  panBy(dx: number, dy: number): void;
}
