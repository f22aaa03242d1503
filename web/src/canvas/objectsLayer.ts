import type { Rings, Size } from "../geometry/shapes";
import type { Viewport } from "../geometry/viewport";
import { paintMask, type MaskLook } from "./look";
import type { Paths } from "./paths";

/** One mask of the layer. */
export interface MaskItem {
  id: string;
  /** Its run lengths, by which a change of it is noticed. */
  counts: string;
  look: MaskLook;
  /** The outline, asked for only when it is painted. */
  rings: () => Rings;
}

/** Work within one frame stops after this many milliseconds, so that the pointer is never kept waiting. */
const BUDGET = 6;
/** So many masks are painted at once. */
const BATCH = 4;

/**
 * The masks that rest while the pointer moves.
 *
 * They are painted into a canvas that is not seen, over as many frames as it takes, and shown when all are there. Until
 * then what was shown before is moved and stretched along with the picture. Masks that are added at the end are painted
 * over what is there.
 */
export class ObjectsLayer {
  readonly #back: HTMLCanvasElement;
  readonly #backContext: CanvasRenderingContext2D;
  readonly #frontContext: CanvasRenderingContext2D;
  #window: Size = { width: 0, height: 0 };
  #pixelRatio = 1;

  #items: readonly MaskItem[] = [];
  #viewport: Viewport = { scale: 1, x: 0, y: 0 };
  /** What lies on the hidden canvas, and for which viewport. */
  #painted: MaskItem[] = [];
  #paintedFor: Viewport | null = null;
  /** The viewport of what is seen; null while that is nothing. */
  #shownFor: Viewport | null = null;
  #shownAll = false;

  /** @param front - the canvas that is seen. */
  constructor(
    private readonly front: HTMLCanvasElement,
    private readonly paths: Paths,
  ) {
    this.#back = front.ownerDocument.createElement("canvas");
    // Without the promise of reading back, painting would be put off to one long moment at the end.
    this.#backContext = context2d(this.#back, { willReadFrequently: true });
    this.#frontContext = context2d(front);
    front.style.transformOrigin = "0 0";
  }

  resize(window: Size, pixelRatio: number): void {
    this.#window = window;
    this.#pixelRatio = pixelRatio;
    for (const canvas of [this.#back, this.front]) {
      canvas.width = Math.round(window.width * pixelRatio);
      canvas.height = Math.round(window.height * pixelRatio);
    }
    this.front.style.width = `${String(window.width)}px`;
    this.front.style.height = `${String(window.height)}px`;
    this.#paintedFor = null;
    this.#shownFor = null;
    this.#shownAll = false;
  }

  /** Another picture: nothing of the one before may be seen. */
  clear(): void {
    this.#items = [];
    this.#painted = [];
    this.#paintedFor = null;
    this.show();
  }

  set(items: readonly MaskItem[]): void {
    this.#items = items;
    this.#shownAll = false;
  }

  /** Go on painting for a while; returns whether all is shown as it should be. */
  step(viewport: Viewport): boolean {
    this.#viewport = viewport;
    if (this.#back.width === 0 || this.#back.height === 0) return true;
    if (this.#shownAll && this.#shownFor === viewport) return true;
    if (!this.canGoOn()) this.startOver();
    const done = this.paintSome();
    if (done) this.show();
    this.place();
    return this.#shownAll && this.#shownFor === viewport;
  }

  /** What is painted so far stands if it begins the list; for an old viewport it is finished first, then done anew. */
  private canGoOn(): boolean {
    if (this.#paintedFor === null) return false;
    const outdated = this.#paintedFor !== this.#viewport;
    if (outdated && (this.#painted.length === 0 || this.#painted.length >= this.#items.length)) return false;
    return (
      this.#painted.length <= this.#items.length &&
      this.#painted.every((item, i) => item === this.#items[i] || isSame(item, this.#items[i]))
    );
  }

  private startOver(): void {
    this.#painted = [];
    this.#paintedFor = this.#viewport;
    this.#backContext.setTransform(1, 0, 0, 1, 0, 0);
    this.#backContext.clearRect(0, 0, this.#back.width, this.#back.height);
  }

  private paintSome(): boolean {
    const view = this.#paintedFor ?? this.#viewport;
    const ratio = this.#pixelRatio;
    const context = this.#backContext;
    const start = performance.now();
    context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
    for (const item of this.#items.slice(this.#painted.length)) {
      this.paint(item, view);
      this.#painted.push(item);
      // Reading makes the browser paint now what it would put off.
      if (this.#painted.length % BATCH === 0) context.getImageData(0, 0, 1, 1);
      if (performance.now() - start > BUDGET) break;
    }
    return this.#painted.length === this.#items.length;
  }

  private paint(item: MaskItem, view: Viewport): void {
    const rings = item.rings();
    const [x0, y0, x1, y1] = this.paths.bounds(rings);
    const margin = item.look.lineWidth + item.look.halo;
    const seen =
      x1 * view.scale + view.x > -margin &&
      y1 * view.scale + view.y > -margin &&
      x0 * view.scale + view.x < this.#window.width + margin &&
      y0 * view.scale + view.y < this.#window.height + margin;
    if (!seen) return;
    paintMask(this.#backContext, this.paths.path(rings, view.scale * this.#pixelRatio), item.look, 1 / view.scale);
  }

  private show(): void {
    const context = this.#frontContext;
    context.clearRect(0, 0, this.front.width, this.front.height);
    if (this.#painted.length > 0) context.drawImage(this.#back, 0, 0);
    this.#shownFor = this.#paintedFor;
    this.#shownAll = true;
  }

  /** Lay what is shown where the picture is now. */
  private place(): void {
    const was = this.#shownFor;
    const is = this.#viewport;
    if (was === null || was === is) {
      this.front.style.transform = "";
      return;
    }
    const change = is.scale / was.scale;
    const [x, y] = [is.x - was.x * change, is.y - was.y * change];
    this.front.style.transform = `translate(${String(x)}px, ${String(y)}px) scale(${String(change)})`;
  }
}

/** @throws Error if the browser gives no canvas, which happens when it has no memory left. */
export function context2d(
  canvas: HTMLCanvasElement,
  settings?: CanvasRenderingContext2DSettings,
): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", settings);
  if (!context)
    throw new Error("The browser has no memory left to paint with. Close other pages and load this one again.");
  return context;
}

function isSame(a: MaskItem, b: MaskItem | undefined): boolean {
  return b !== undefined && a.id === b.id && a.counts === b.counts && a.look.fill === b.look.fill;
}
