import type { Box, Click } from "../api/types";
import type { Preview } from "../decoder/decoder";
import type { Point } from "../geometry/shapes";
import type { Session, StudioState } from "../session/session";
import { Hand, type HandListener } from "../tools/hand";
import { InteractionLayer } from "./interactionLayer";
import { CLICK_TO_MASK, Measures, POINTER_TO_MASK } from "./measures";
import { ObjectsLayer } from "./objectsLayer";
import { Paths } from "./paths";
import { PendingPrompts } from "./pendingPrompts";
import { PictureLayer } from "./pictureLayer";
import { interactionScene, maskItems, sameMasks, samePointing } from "./scene";
import type { StageViewport } from "./viewportStore";

/** The viewport rests when nothing has moved it for so many milliseconds. */
const REST = 140;

export interface StageElements {
  /** Takes the pointer; the others lie in it. */
  root: HTMLElement;
  picture: HTMLElement;
  objects: HTMLCanvasElement;
  interaction: HTMLCanvasElement;
}

/** Paints what the session and the pointer say, at most once a frame, and only the layers that have changed. */
export class StagePainter implements HandListener {
  readonly hand: Hand;
  readonly #paths = new Paths();
  readonly #measures = new Measures();
  readonly #pending = new PendingPrompts();
  readonly #picture: PictureLayer;
  readonly #objects: ObjectsLayer;
  readonly #interaction: InteractionLayer;
  readonly #ends: (() => void)[];

  #state: StudioState;
  #preview: Preview | null = null;
  /** Times of the events that the next painting answers. */
  #answered: { name: string; start: number }[] = [];
  #frame: number | null = null;
  #rest: ReturnType<typeof setTimeout> | null = null;
  #moved = true;
  #interactionIsOld = true;

  constructor(
    private readonly elements: StageElements,
    private readonly session: Session,
    private readonly stage: StageViewport,
  ) {
    this.hand = new Hand(session, stage, this);
    this.#picture = new PictureLayer(elements.picture);
    this.#objects = new ObjectsLayer(elements.objects, this.#paths);
    this.#interaction = new InteractionLayer(elements.interaction, this.#paths);
    this.#state = session.state.getState();
    this.#ends = [
      session.state.subscribe((state, before) => {
        this.follow(state, before);
      }),
      session.onPreview((preview, asked) => {
        this.showPreview(preview, asked);
      }),
      stage.state.subscribe((state, before) => {
        if (state.viewport !== before.viewport || state.picture !== before.picture) this.viewportMoved();
      }),
    ];
    this.resize();
    this.showPicture();
    this.#objects.set(maskItems(session, this.#state));
    this.describe();
    this.wake();
  }

  close(): void {
    for (const end of this.#ends) end();
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#measures.close();
  }

  /** The stage's element, or the density of the screen's pixels, has changed. */
  resize(): void {
    const { clientWidth: width, clientHeight: height } = this.elements.root;
    const ratio = window.devicePixelRatio;
    this.#objects.resize({ width, height }, ratio);
    this.#interaction.resize({ width, height }, ratio);
    this.stage.setWindow({ width, height }, ratio);
    this.viewportMoved();
    // A canvas that was resized is empty until it is painted, which would be seen if that waited for the next frame.
    this.paint();
  }

  asked(question: Point | Box, time: number): void {
    this.#measures.asked(question, time);
  }

  prompted(prompt: Click | Box, time: number): void {
    this.#pending.add(prompt, time);
    this.changed();
  }

  changed(): void {
    this.#interactionIsOld = true;
    this.wake();
  }

  private follow(state: StudioState, before: StudioState): void {
    this.#state = state;
    if (state.picture?.id !== before.picture?.id) {
      this.#objects.clear();
      this.#pending.clear();
      this.#preview = null;
    }
    if (state.picture !== before.picture) this.showPicture();
    if (state.objects !== before.objects) {
      for (const start of this.#pending.takeAnswered(state.objects))
        this.#answered.push({ name: CLICK_TO_MASK, start });
    }
    if (state.waiting.length === 0) this.#pending.clear();
    if (!samePointing(state, before)) this.#measures.forget();
    if (!sameMasks(state, before)) this.#objects.set(maskItems(this.session, state));
    this.describe();
    this.hand.mark();
    this.changed();
  }

  private showPreview(preview: Preview | null, asked: Point | Box | null): void {
    this.#preview = preview;
    const start = this.#measures.timeOf(asked);
    if (preview && start !== null) this.#answered.push({ name: POINTER_TO_MASK, start });
    this.changed();
  }

  private showPicture(): void {
    const { picture } = this.#state;
    const { id = null, width = null, height = null } = picture ?? {};
    this.stage.show(id, width !== null && height !== null ? { width, height } : null);
  }

  private viewportMoved(): void {
    this.#moved = true;
    this.changed();
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.stage.settle();
      this.rest();
    }, REST);
  }

  private rest(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = null;
    this.#moved = true;
    this.hand.pointAgain(performance.now());
    this.wake();
  }

  private wake(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.paint();
    });
  }

  private paint(): void {
    const { viewport, picture } = this.stage;
    if (this.#moved) {
      this.#moved = false;
      this.#picture.place(picture, viewport, this.stage.pixelRatio, this.#rest === null);
      const { dataset } = this.elements.root;
      dataset["scale"] = String(viewport.scale);
      dataset["offsetX"] = String(viewport.x);
      dataset["offsetY"] = String(viewport.y);
    }
    if (!this.#objects.step(viewport)) this.wake();
    if (this.#interactionIsOld) {
      this.#interactionIsOld = false;
      const scene = interactionScene(this.session, this.#state, picture, this.#preview, this.hand);
      this.#interaction.paint(scene, viewport);
    }
    for (const { name, start } of this.#answered) this.#measures.painted(name, start);
    this.#answered = [];
  }

  private describe(): void {
    const { picture, embedding } = this.#state;
    const { dataset } = this.elements.root;
    dataset["picture"] = picture ? String(picture.id) : "";
    dataset["embedding"] = embedding;
  }
}
