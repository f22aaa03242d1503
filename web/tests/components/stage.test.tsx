// @vitest-environment jsdom
import { act, type ReactNode } from "react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { useStore } from "zustand";
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

describe("a picture on the stage", () => {
  function start(answer?: () => Promise<Response>) {
    if (answer) vi.stubGlobal("fetch", answer);
    const { session } = recordedContext();
    const stage = createStage();
    stage.setWindow({ width: 800, height: 600 }, 1);
    stage.show(7, null);
    const frame = document.createElement("div");
    const api = { imageUrl: () => "/image", thumbnailUrl: () => "/thumbnail" };
    const { root } = renderStudio(
      <StagePicture picture={picture(7)} session={session} stage={stage} api={api} frame={frame} />,
    );
    const images = () => [...root.querySelectorAll("img")].map((image) => image.getAttribute("src"));
    const image = (): HTMLImageElement => {
      const found = root.querySelector<HTMLImageElement>('img[src="/image"]');
      if (!found) throw new Error("there is no image");
      return found;
    };
    return { session, stage, frame, images, image };
  }

  async function happen(image: HTMLImageElement, event: "load" | "error"): Promise<void> {
    act(() => {
      image.dispatchEvent(new Event(event));
    });
    await settle();
  }

  it("is its thumbnail until it is decoded, and tells the stage its size", async () => {
    const { stage, images, image } = start();
    expect(images()).toEqual(["/thumbnail", "/image"]);
    const shown = image();
    Object.defineProperties(shown, {
      naturalWidth: { value: 40 },
      naturalHeight: { value: 30 },
      decode: { value: () => Promise.resolve() },
    });
    await happen(shown, "load");
    expect(images()).toEqual(["/image"]);
    expect(stage.picture).toEqual({ width: 40, height: 30 });
  });

  it("is not decoded ahead where that would take much memory", async () => {
    const { images, image } = start();
    const shown = image();
    const decode = vi.fn(() => Promise.reject(new DOMException("too large", "EncodingError")));
    Object.defineProperties(shown, {
      naturalWidth: { value: 10_000 },
      naturalHeight: { value: 10_000 },
      decode: { value: decode },
    });
    await happen(shown, "load");
    expect(decode).not.toHaveBeenCalled();
    expect(images()).toEqual(["/image"]);
  });

  it("says in the server's words why it cannot be shown, and tries again when told to", async () => {
    const detail = "photo.tif is damaged: it ends too early";
    const { frame, image } = start(() => Promise.resolve(Response.json({ detail }, { status: 422 })));
    const first = image();
    await happen(first, "error");
    expect(frame.textContent).toContain(detail);
    const button = frame.querySelector("button");
    if (!button) throw new Error("there is no button");
    document.body.append(frame);
    click(button);
    expect(frame.textContent).toBe("");
    expect(image()).not.toBe(first);
    frame.remove();
  });

  it("says so when it is the browser that cannot show it", async () => {
    const { frame, image } = start(() => Promise.resolve(new Response("pixels")));
    await happen(image(), "error");
    expect(frame.textContent).toContain("The browser cannot decode it");
  });

  it("tries again by itself when the server is back", async () => {
    const { session, frame, image } = start(() => Promise.reject(new TypeError("Failed to fetch")));
    const first = image();
    await happen(first, "error");
    expect(frame.textContent).toContain("cannot be reached");
    act(() => {
      session.state.setState({ serverLost: true });
    });
    expect(image()).toBe(first);
    act(() => {
      session.state.setState({ serverLost: false });
    });
    expect(frame.textContent).toBe("");
    expect(image()).not.toBe(first);
  });

  it("lets go of the pixels when it leaves the page", () => {
    const { session } = recordedContext();
    const api = { imageUrl: () => "/image", thumbnailUrl: () => "/thumbnail" };
    const element = (
      <StagePicture picture={picture(7)} session={session} stage={createStage()} api={api} frame={null} />
    );
    const { root } = renderStudio(<Shown session={session}>{element}</Shown>);
    const image = root.querySelector('img[src="/image"]');
    act(() => {
      session.state.setState({ picture: null });
    });
    expect(root.querySelector("img")).toBeNull();
    expect(image?.hasAttribute("src")).toBe(false);
  });
});
