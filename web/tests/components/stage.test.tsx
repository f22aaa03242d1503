// @vitest-environment jsdom
import { act, type ReactNode } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { useStore } from "zustand";
import { ApiError, NetworkError } from "../../src/api/request";
import { REST } from "../../src/canvas/pictureSurface";
import { createStage } from "../../src/canvas/viewportStore";
import { StagePicture } from "../../src/components/StagePicture";
import { progressText, StageProgress } from "../../src/components/StageProgress";
import type { Session, StudioState } from "../../src/session/session";
import { picture, recordedContext, studioState } from "../actions/states";
import { click, renderStudio, settle } from "./renderStudio";

/** Its content only while there is a picture. */
function Shown({ session, children }: { session: Session; children: ReactNode }) {
  return useStore(session.state, (state) => state.picture !== null) && children;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("what the stage waits for", () => {
  const waiting = [{ object: "a", click: { x: 1, y: 1, positive: true }, box: null }];

  it.each<[Partial<StudioState>, string | null]>([
    [{}, null],
    [{ embedding: "waiting" }, "Encoding…"],
    [{ embedding: "waiting", waiting }, "Encoding… Your click is kept."],
    [{ embedding: "none", decoder: "preparing" }, "Encoding…"],
    [{ embedding: "loading" }, "Almost there…"],
    [{ decoder: "preparing" }, "Preparing the decoder, once for this model…"],
    [{ decoder: "loading" }, "Loading the decoder…"],
    [{ tool: "everything" }, "Looking for everything…"],
    [{ tool: "everything", proposals: [] }, null],
    [{ embedding: "failed" }, null],
    [{ embedding: "waiting", decoder: "failed" }, null],
    [{ embedding: "waiting", picture: picture(1, { error: "It is damaged." }) }, null],
    [{ embedding: "waiting", picture: null }, null],
  ])("with %o is %s", (state, text) => {
    expect(progressText(studioState(state))).toBe(text);
  });

  it("is shown with the picture's name until it is there", () => {
    const { session } = recordedContext({ embedding: "waiting" });
    const { byTestId, allByTestId } = renderStudio(<StageProgress session={session} />);
    expect(byTestId("stage-progress").textContent).toBe("picture 1.jpgEncoding…");
    act(() => {
      session.state.setState({ embedding: "ready" });
    });
    expect(allByTestId("stage-progress")).toEqual([]);
  });
});

/** Let a size stay until a picture is drawn anew for it. */
async function rest(): Promise<void> {
  await act(async () => {
    await new Promise((resolve) => setTimeout(resolve, REST + 1));
  });
}

describe("a picture on the stage", () => {
  /** Sizes of what was decoded, and of what is held. */
  let bitmaps: { width: number; isClosed: boolean }[] = [];
  let resized: (() => void)[] = [];
  /** What decoding waits for. */
  let decoding: Promise<unknown> = Promise.resolve();

  function start({
    pixels = (() => Promise.resolve(new Blob(["pixels"]))) as Session["pixels"],
    hasPixels = false,
    size = { width: 40, height: 30 },
  } = {}) {
    bitmaps = [];
    resized = [];
    vi.stubGlobal(
      "ResizeObserver",
      class {
        constructor(onResize: () => void) {
          resized.push(onResize);
        }
        observe(): void {
          return;
        }
        disconnect(): void {
          resized = [];
        }
      },
    );
    decoding = Promise.resolve();
    vi.stubGlobal("createImageBitmap", (file: Blob, { resizeWidth = size.width }: ImageBitmapOptions) => {
      if (file.size === 0) return Promise.reject(new DOMException("broken", "InvalidStateError"));
      const bitmap = {
        width: resizeWidth,
        height: 1,
        isClosed: false,
        close() {
          this.isClosed = true;
        },
      };
      bitmaps.push(bitmap);
      return decoding.then(() => bitmap);
    });
    vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue({
      transferFromImageBitmap: () => undefined,
    } as unknown as ImageBitmapRenderingContext);
    vi.stubGlobal("URL", { createObjectURL: () => "blob:large", revokeObjectURL: () => undefined });
    const shown = picture(7, size);
    const { session } = recordedContext({ picture: shown });
    Object.assign(session, { pixels, hasPixels: () => hasPixels });
    const stage = createStage();
    stage.setWindow({ width: 800, height: 600 }, 1);
    stage.show(7, null);
    const frame = document.createElement("div");
    const api = { thumbnailUrl: () => "/thumbnail" };
    const { root } = renderStudio(
      <Shown session={session}>
        <StagePicture picture={shown} session={session} stage={stage} api={api} frame={frame} />
      </Shown>,
    );
    const images = () => [...root.querySelectorAll("img")].map((image) => image.getAttribute("src"));
    const state = () => root.querySelector<HTMLElement>("[data-shows='7']")?.dataset["state"];
    const resize = (width: number) => {
      Object.defineProperty(root.querySelector("canvas"), "clientWidth", { value: width, configurable: true });
      for (const onResize of resized) onResize();
    };
    /** Be seen at a width in pixels. */
    const widen = async (width: number) => {
      const isFirst = bitmaps.length === 0;
      resize(width);
      await (isFirst ? settle() : rest());
    };
    return { root, session, stage, frame, images, state, resize, widen };
  }

  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is its thumbnail until it is decoded, and tells the stage its size", async () => {
    const { stage, images, state, widen } = start();
    await settle();
    expect([images(), state()]).toEqual([["/thumbnail"], "loading"]);
    await widen(0);
    expect([images(), state()]).toEqual([["/thumbnail"], "loading"]);
    await widen(30);
    expect([images(), state()]).toEqual([[], "shown"]);
    expect(stage.picture).toEqual({ width: 40, height: 30 });
  });

  it("needs no thumbnail where it was fetched ahead", () => {
    expect(start({ hasPixels: true }).images()).toEqual([]);
  });

  it("is decoded in as many pixels as are seen of it", async () => {
    const { root, resize, widen } = start();
    await settle();
    const isExact = () => root.querySelector("canvas")?.hasAttribute("data-exact");
    for (const width of [10, 9]) await widen(width);
    expect(isExact()).toBe(true);
    // While it is zoomed, it waits.
    for (const width of [12, 20, 30]) resize(width);
    expect(isExact()).toBe(false);
    await widen(35);
    for (const width of [18, 14, 400]) await widen(width);
    expect(bitmaps.map(({ width }) => width)).toEqual([10, 9, 35, 18, 14, 40]);
    expect(isExact()).toBe(false);
    expect(root.querySelector("canvas")?.width).toBe(40);
  });

  it("is left to the browser where it is large", async () => {
    const { root, images, state } = start({ size: { width: 10_000, height: 10_000 } });
    await settle();
    expect([images(), state()]).toEqual([["/thumbnail", "blob:large"], "loading"]);
    const image = root.querySelector('img[src="blob:large"]');
    act(() => {
      image?.dispatchEvent(new Event("load"));
    });
    expect([images(), state()]).toEqual([["blob:large"], "shown"]);
    expect(bitmaps).toEqual([]);
  });

  it("says in the server's words why it cannot be shown, and tries again when told to", async () => {
    const detail = "photo.tif is damaged: it ends too early";
    const pixels = vi.fn(() => Promise.reject<Blob>(new ApiError(422, detail)));
    const { frame, state } = start({ pixels });
    await settle();
    expect(frame.textContent).toContain(detail);
    const button = frame.querySelector("button");
    if (!button) throw new Error("there is no button");
    pixels.mockResolvedValue(new Blob(["pixels"]));
    document.body.append(frame);
    click(button);
    await settle();
    expect([frame.textContent, state()]).toEqual(["", "loading"]);
    expect(pixels).toHaveBeenCalledTimes(2);
    frame.remove();
  });

  it("says so when it is the browser that cannot show it", async () => {
    const { frame, widen } = start({ pixels: () => Promise.resolve(new Blob()) });
    await settle();
    await widen(30);
    expect(frame.textContent).toContain("The browser cannot decode it");
  });

  it("tries again by itself when the server is back", async () => {
    const pixels = vi.fn(() => Promise.reject<Blob>(new NetworkError("The server cannot be reached.")));
    const { session, frame } = start({ pixels });
    await settle();
    expect(frame.textContent).toContain("cannot be reached");
    act(() => {
      session.state.setState({ serverLost: true });
    });
    expect(pixels).toHaveBeenCalledTimes(1);
    act(() => {
      session.state.setState({ serverLost: false });
    });
    expect(pixels).toHaveBeenCalledTimes(2);
    expect(frame.textContent).toBe("");
    await settle();
  });

  it("lets go of the pixels when it leaves the page", async () => {
    const { root, session, resize, widen } = start();
    await settle();
    await widen(30);
    const canvas = root.querySelector("canvas");
    expect(canvas?.width).toBe(30);
    let decode: (() => void) | undefined;
    decoding = new Promise<void>((resolve) => {
      decode = resolve;
    });
    resize(40);
    await rest();
    act(() => {
      session.state.setState({ picture: null });
    });
    decode?.();
    await settle();
    expect(root.querySelector("canvas")).toBeNull();
    expect(canvas?.width).toBe(1);
    expect(bitmaps.map(({ width, isClosed }) => [width, isClosed])).toEqual([
      [30, false],
      [40, true],
    ]);
  });

  it("is not waited for once it has left the page", () => {
    let asked: AbortSignal | undefined;
    const { session } = start({
      pixels: (_, signal) => {
        asked = signal;
        return new Promise<Blob>(() => undefined);
      },
    });
    expect(asked?.aborted).toBe(false);
    act(() => {
      session.state.setState({ picture: null });
    });
    expect(asked?.aborted).toBe(true);
  });
});
