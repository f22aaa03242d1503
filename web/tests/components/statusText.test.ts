import { describe, expect, it } from "vitest";
import { savingText } from "../../src/components/savingText";
import { decoderText, encodingText } from "../../src/components/statusText";
import { picture, studioState } from "../actions/states";

const server = {
  project: "project",
  encoding: ["b.jpg"],
  waiting: 9,
  encoded: 2,
  decoder: { state: "ready" as const, files: null, reason: null },
};

describe("encoding", () => {
  it.each([
    ["the model comes first", { project: { ...studioState().project, model: null } }, "Loading the model…"],
    ["with progress", { server, embedding: "waiting" }, "Encoding 3 of 12…"],
    ["with progress of the others", { server, embedding: "ready" }, "Encoding 3 of 12…"],
    ["before the server has said more", { embedding: "waiting" }, "Encoding this picture…"],
    ["on its way", { embedding: "loading" }, "Fetching the embedding…"],
    ["done", { embedding: "ready" }, "Encoded"],
    ["failed", { embedding: "failed", server }, "This picture could not be encoded"],
    ["broken pictures are not encoded", { picture: picture(1, { error: "broken" }), embedding: "none" }, ""],
  ] as const)("%s", (_, changes, text) => {
    expect(encodingText(studioState(changes as object))).toBe(text);
  });
});

describe("decoder", () => {
  const reason = "The decoder could not be made: no space left";
  it.each([
    [{ decoder: "preparing" }, "Preparing the decoder, once for this model…"],
    [{ decoder: "loading" }, "Loading the decoder…"],
    [{ backend: "webgpu" }, "WebGPU"],
    [{ backend: "wasm" }, "WebAssembly"],
    [{ decoder: "failed", server: { ...server, decoder: { state: "failed", files: null, reason } } }, reason],
    [{ decoder: "failed" }, "The decoder could not be started; reload the page"],
  ] as const)("%o", (changes, text) => {
    expect(decoderText(studioState(changes as object))).toBe(text);
  });
});

describe("saving", () => {
  it.each([
    [{}, "Saved"],
    [{ saving: "saving", unsaved: 1 }, "Saving…"],
    [{ saving: "offline", unsaved: 1 }, "Offline, 1 change kept here"],
    [{ saving: "saved", serverLost: true }, "Offline"],
    [{ saving: "offline", unsaved: 1234 }, "Offline, 1,234 changes kept here"],
    [{ saving: "failed", unsaved: 2, serverLost: true }, "2 changes not saved"],
  ] as const)("%o", (changes, text) => {
    expect(savingText(studioState(changes))).toBe(text);
  });
});
