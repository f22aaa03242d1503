import { createStore, type StoreApi } from "zustand/vanilla";
import type { Point, Size } from "../geometry/shapes";
import * as geometry from "../geometry/viewport";
import type { StageControls, StageState } from "./stageControls";

/** Views of this many pictures are remembered for coming back. */
const REMEMBERED = 200;

const NO_WINDOW: Size = { width: 0, height: 0 };

/** How the picture lies in the stage, and all that moves it. */
export class StageViewport implements StageControls {
  readonly state: StoreApi<StageState> = createStore<StageState>(() => ({
    viewport: { scale: 1, x: 0, y: 0 },
    window: NO_WINDOW,
    picture: null,
    fitted: true,
  }));
  /** Pixels of the device in one of CSS. */
  pixelRatio = 1;
  #shown: number | null = null;
  /** What the browser has decoded, which counts where nobody has told the size. */
  #decoded: { id: number; size: Size } | null = null;
  readonly #views = new Map<number, geometry.Viewport>();

  get viewport(): geometry.Viewport {
    return this.state.getState().viewport;
  }

  get picture(): Size | null {
    return this.state.getState().picture;
  }

  /**
   * Another picture, as it was looked at before, or fitted into the window; null for none.
   *
   * @param size - null if it is not known yet; nothing is shown until it is, or the picture is decoded.
   */
  show(id: number | null, size: Size | null): void {
    const picture = size ?? (this.#decoded?.id === id ? this.#decoded.size : null);
    if (id === this.#shown && picture?.width === this.picture?.width && picture?.height === this.picture?.height)
      return;
    this.remember();
    this.#shown = id;
    const view = id === null ? undefined : this.#views.get(id);
    this.state.setState({ picture, fitted: view === undefined });
    if (view) this.move(view);
    else this.fit();
  }

  /** The browser has decoded a picture, of this size. */
  decoded(id: number, size: Size): void {
    this.#decoded = { id, size };
    if (id === this.#shown && this.picture === null) this.show(id, size);
  }

  setWindow(window: Size, pixelRatio: number): void {
    const before = this.state.getState();
    this.pixelRatio = pixelRatio;
    if (window.width === before.window.width && window.height === before.window.height) return;
    this.state.setState({ window });
    if (before.fitted) this.fit();
    else this.move(geometry.resize(before.viewport, before.window, window));
  }

  zoomIn(): void {
    this.zoomAt(this.middle(), geometry.ZOOM_STEP);
  }

  zoomOut(): void {
    this.zoomAt(this.middle(), 1 / geometry.ZOOM_STEP);
  }

  fit(): void {
    const { picture, window } = this.state.getState();
    if (!picture || window.width === 0) return;
    this.state.setState({ viewport: this.onWholePixels(geometry.fit(picture, window)), fitted: true });
  }

  actualSize(): void {
    const { viewport, window } = this.state.getState();
    this.move(geometry.actualSize(viewport, window, this.pixelRatio));
  }

  panBy(dx: number, dy: number): void {
    this.move(geometry.pan(this.viewport, dx, dy));
  }

  zoomAt(screen: Point, factor: number): void {
    const { picture, window, viewport } = this.state.getState();
    if (!picture) return;
    this.move(geometry.zoomAt(viewport, screen, factor, geometry.scaleLimits(picture, window)));
  }

  /** Put the picture onto whole pixels of the device, once it rests: nothing of it is blurred then. */
  settle(): void {
    const { viewport, picture } = this.state.getState();
    if (!picture) return;
    const settled = this.onWholePixels(viewport);
    if (settled.x !== viewport.x || settled.y !== viewport.y) this.state.setState({ viewport: settled });
  }

  private onWholePixels({ scale, x, y }: geometry.Viewport): geometry.Viewport {
    const whole = (offset: number) => Math.round(offset * this.pixelRatio) / this.pixelRatio;
    return { scale, x: whole(x), y: whole(y) };
  }

  private move(viewport: geometry.Viewport): void {
    const { picture, window } = this.state.getState();
    if (picture) this.state.setState({ viewport: geometry.clamp(viewport, picture, window), fitted: false });
  }

  private remember(): void {
    const { fitted, viewport } = this.state.getState();
    if (this.#shown === null || !this.picture) return;
    this.#views.delete(this.#shown);
    if (!fitted) this.#views.set(this.#shown, viewport);
    const [oldest] = this.#views.keys();
    if (this.#views.size > REMEMBERED && oldest !== undefined) this.#views.delete(oldest);
  }

  private middle(): Point {
    const { window } = this.state.getState();
    return { x: window.width / 2, y: window.height / 2 };
  }
}

/** The controls of a stage, which may be made before it is on the page. */
export function createStage(): StageViewport {
  return new StageViewport();
}
