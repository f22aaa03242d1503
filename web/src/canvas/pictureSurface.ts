import type { Size } from "../geometry/shapes";

/**
 * Milliseconds for which its size must stay the same to be drawn anew: while it is zoomed, what is there is stretched, as
 * handing over a large picture keeps the page for longer than a frame.
 */
export const REST = 120;

/**
 * Shows a picture in a canvas, in no more pixels than are seen of it.
 *
 * An `<img>` leaves its decoded pixels to the browser, which keeps those of hundreds of pictures in case they are shown
 * again. Here one picture's are held, and given back with the surface.
 */
export class PictureSurface {
  /** Resolves when the picture is seen; rejects with a DOMException if the browser cannot decode it. */
  readonly drawn: Promise<void>;
  readonly #context: ImageBitmapRenderingContext;
  readonly #observer: ResizeObserver;
  /** Width of what is shown, and of what is wanted, in pixels. */
  #shown = 0;
  #wanted = 0;
  #isDrawing = false;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /**
   * @param canvas - its size on the page says how many pixels are seen.
   * @param file - the encoded picture.
   * @param size - the picture's size in pixels.
   */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly file: Blob,
    private readonly size: Size,
  ) {
    const context = canvas.getContext("bitmaprenderer", { alpha: false });
    if (!context)
      throw new Error("The browser has no memory left to paint with. Close other pages and load this one again.");
    this.#context = context;
    let follow: () => void = () => undefined;
    this.drawn = new Promise((resolve, reject) => {
      follow = () => {
        const seen = Math.ceil(canvas.clientWidth * devicePixelRatio);
        if (seen === 0) return;
        this.#wanted = Math.min(seen, size.width);
        this.#tell();
        clearTimeout(this.#rest);
        if (this.#isDrawing) return;
        const draw = () => void this.#drawWanted().then(resolve, reject);
        if (this.#shown === 0) draw();
        else this.#rest = setTimeout(draw, REST);
      };
    });
    this.#observer = new ResizeObserver(follow);
    this.#observer.observe(canvas);
  }

  /** Give the pixels back. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#rest);
    this.#observer.disconnect();
    this.canvas.width = 1;
    this.canvas.height = 1;
  }

  async #drawWanted(): Promise<void> {
    this.#isDrawing = true;
    try {
      while (!this.#isClosed && this.#shown !== this.#wanted) await this.#draw(this.#wanted);
    } finally {
      this.#isDrawing = false;
    }
  }

  async #draw(width: number): Promise<void> {
    const isWhole = width === this.size.width;
    const resizeHeight = Math.max(1, Math.round((this.size.height * width) / this.size.width));
    const bitmap = await createImageBitmap(
      this.file,
      isWhole ? {} : { resizeWidth: width, resizeHeight, resizeQuality: "medium" },
    );
    if (this.#isClosed) {
      bitmap.close();
      return;
    }
    this.canvas.width = bitmap.width;
    this.canvas.height = bitmap.height;
    this.#context.transferFromImageBitmap(bitmap);
    this.#shown = width;
    this.#tell();
  }

  /** Say whether each pixel of the canvas is one of the screen, which then need not be interpolated. */
  #tell(): void {
    const seen = Math.ceil(this.canvas.clientWidth * devicePixelRatio);
    this.canvas.toggleAttribute("data-exact", this.#shown === seen);
  }
}
