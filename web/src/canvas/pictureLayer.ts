import type { Size } from "../geometry/shapes";
import type { Viewport } from "../geometry/viewport";

/** From this scale on, in device pixels, the picture's pixels are shown as squares. */
export const PIXELATED_FROM = 3;
/** While it is zoomed, the picture is stretched as it was painted; beyond these factors it is painted anew. */
const LARGEST_STRETCH = 2;

/**
 * Lays the element with the picture where the viewport says.
 *
 * Moving it is left to the compositor: the browser does not paint the picture again. Its size on the page follows when
 * the viewport rests, and with it the resolution in which the browser paints it.
 */
export class PictureLayer {
  #laidOut: { scale: number; picture: Size } | null = null;

  constructor(private readonly element: HTMLElement) {
    element.style.transformOrigin = "0 0";
    element.style.willChange = "transform";
  }

  /**
   * @param picture - its size in pixels; null shows nothing.
   * @param rests - whether the viewport has come to rest.
   */
  place(picture: Size | null, view: Viewport, pixelRatio: number, rests: boolean): void {
    const { style } = this.element;
    style.visibility = picture ? "visible" : "hidden";
    if (!picture) {
      this.#laidOut = null;
      return;
    }
    const stretch = this.#laidOut?.picture === picture ? view.scale / this.#laidOut.scale : Infinity;
    if (rests || stretch > LARGEST_STRETCH || stretch < 1 / LARGEST_STRETCH) this.layOut(picture, view, pixelRatio);
    const change = view.scale / (this.#laidOut?.scale ?? view.scale);
    this.element.toggleAttribute("data-stretched", change !== 1);
    const scaled = change === 1 ? "" : ` scale(${String(change)})`;
    style.transform = `translate(${String(view.x)}px, ${String(view.y)}px)${scaled}`;
  }

  private layOut(picture: Size, { scale }: Viewport, pixelRatio: number): void {
    this.#laidOut = { scale, picture };
    const { style } = this.element;
    style.width = `${String(picture.width * scale)}px`;
    style.height = `${String(picture.height * scale)}px`;
    style.imageRendering = scale * pixelRatio >= PIXELATED_FROM ? "pixelated" : "auto";
  }
}
