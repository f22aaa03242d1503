import type { Box, Click } from "../api/types";
import type { Rings, Size } from "../geometry/shapes";
import { toScreen, type Viewport } from "../geometry/viewport";
import { acceptableLook, markedLook, paintMask, previewLook, selectedLook, type MaskLook } from "./look";
import { context2d } from "./objectsLayer";
import type { Paths } from "./paths";

/** What changes while the pointer moves. All of it in pixels of the picture. */
export interface InteractionScene {
  preview: { rings: Rings; color: string } | null;
  selected: { rings: Rings; color: string; clicks: readonly Click[]; box: Box | null } | null;
  /** Position of the selected object's click that a click would remove. */
  markedClick: number | null;
  /** The object that a click would take up. */
  marked: { rings: Rings; color: string } | null;
  /** The proposal that a click would accept. */
  proposal: { rings: Rings; color: string } | null;
  /** The box that is being dragged. */
  box: Box | null;
  /** Clicks and boxes that no mask answers yet. */
  waiting: readonly { click: Click | null; box: Box | null }[];
}

const DARK = "rgb(0 0 0 / 65%)";
const POSITIVE = "#16a05d";
const NEGATIVE = "#e0383e";
const REMOVED = "#2b2f36";
const DOT_RADIUS = 6.5;
const MARKED_RADIUS = 8.5;
const WAITING_ALPHA = 0.7;
const FULL_CIRCLE = 2 * Math.PI;

/** The layer above all others: what is under the pointer, and the selected object. */
export class InteractionLayer {
  readonly #context: CanvasRenderingContext2D;
  #pixelRatio = 1;
  #isEmpty = true;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly paths: Paths,
  ) {
    this.#context = context2d(canvas);
  }

  resize(window: Size, pixelRatio: number): void {
    this.#pixelRatio = pixelRatio;
    this.canvas.width = Math.round(window.width * pixelRatio);
    this.canvas.height = Math.round(window.height * pixelRatio);
    this.canvas.style.width = `${String(window.width)}px`;
    this.canvas.style.height = `${String(window.height)}px`;
    this.#isEmpty = true;
  }

  paint(scene: InteractionScene, view: Viewport): void {
    const { preview, selected, marked, proposal } = scene;
    const isEmpty = !preview && !selected && !marked && !proposal && !scene.box && scene.waiting.length === 0;
    if (isEmpty && this.#isEmpty) return;
    this.#isEmpty = isEmpty;
    const context = this.#context;
    const ratio = this.#pixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(view.scale * ratio, 0, 0, view.scale * ratio, view.x * ratio, view.y * ratio);
    if (proposal) this.paintRings(proposal.rings, acceptableLook(proposal.color), view);
    if (marked) this.paintRings(marked.rings, markedLook(marked.color), view);
    if (selected) this.paintRings(selected.rings, selectedLook(selected.color), view);
    if (preview) {
      const path = this.paths.smoothPath(preview.rings, view.scale * ratio);
      paintMask(context, path, previewLook(preview.color), 1 / view.scale);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (selected?.box) this.paintBox(selected.box, view, [5, 4]);
    if (scene.box) this.paintBox(scene.box, view, []);
    for (const { box } of scene.waiting) if (box) this.paintBox(box, view, []);
    selected?.clicks.forEach((click, i) => {
      this.paintDot(click, view, i === scene.markedClick);
    });
    context.globalAlpha = WAITING_ALPHA;
    for (const { click } of scene.waiting) if (click) this.paintDot(click, view, false);
    context.globalAlpha = 1;
  }

  private paintRings(rings: Rings, look: MaskLook, view: Viewport): void {
    paintMask(this.#context, this.paths.path(rings, view.scale * this.#pixelRatio), look, 1 / view.scale);
  }

  private paintBox([x0, y0, x1, y1]: Box, view: Viewport, dash: number[]): void {
    const context = this.#context;
    const first = toScreen(view, { x: x0, y: y0 });
    const last = toScreen(view, { x: x1, y: y1 });
    const sides = [first.x, first.y, last.x - first.x, last.y - first.y] as const;
    context.lineJoin = "miter";
    context.strokeStyle = DARK;
    context.lineWidth = 3;
    context.strokeRect(...sides);
    context.setLineDash(dash);
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.25;
    context.strokeRect(...sides);
    context.setLineDash([]);
  }

  /** A plus or minus; a cross where a click would remove it. */
  private paintDot(click: Click, view: Viewport, isMarked: boolean): void {
    const context = this.#context;
    const { x, y } = toScreen(view, click);
    const radius = isMarked ? MARKED_RADIUS : DOT_RADIUS;
    context.beginPath();
    context.arc(x, y, radius + 1, 0, FULL_CIRCLE);
    context.fillStyle = DARK;
    context.fill();
    context.beginPath();
    context.arc(x, y, radius, 0, FULL_CIRCLE);
    context.fillStyle = "#ffffff";
    context.fill();
    context.beginPath();
    context.arc(x, y, radius - 1.5, 0, FULL_CIRCLE);
    context.fillStyle = isMarked ? REMOVED : click.positive ? POSITIVE : NEGATIVE;
    context.fill();
    const arm = radius / 2 - 0.25;
    context.beginPath();
    context.lineCap = "round";
    if (isMarked) {
      context.moveTo(x - arm, y - arm);
      context.lineTo(x + arm, y + arm);
      context.moveTo(x - arm, y + arm);
      context.lineTo(x + arm, y - arm);
    } else {
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      if (click.positive) {
        context.moveTo(x, y - arm);
        context.lineTo(x, y + arm);
      }
    }
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1.75;
    context.stroke();
    context.lineCap = "butt";
  }
}
