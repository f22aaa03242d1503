import type { StudioState } from "../session/session";

type Encoding = Pick<StudioState, "picture" | "embedding" | "server" | "project">;
type Decoding = Pick<StudioState, "decoder" | "backend" | "server" | "project">;

const DECODERS = { webgpu: "WebGPU", wasm: "WebAssembly" };

/** How far the pictures are encoded, which the server does; "" while there is nothing to say. */
export function encodingText({ picture, embedding, server, project }: Encoding): string {
  if (project !== null && project.model === null && server?.decoder.state !== "failed") return "Loading the model…";
  const left = (server?.waiting ?? 0) + (server?.encoding.length ?? 0);
  const total = (server?.encoded ?? 0) + left;
  const progress =
    left > 0 ? `Encoding ${((server?.encoded ?? 0) + 1).toLocaleString("en")} of ${total.toLocaleString("en")}…` : "";
  if (picture === null || picture.error !== null) return progress;
  if (embedding === "failed") return "This picture could not be encoded";
  if (embedding === "ready") return progress || "Encoded";
  if (embedding === "loading") return "Fetching the embedding…";
  return progress || "Encoding this picture…";
}

/** How the decoder is, which runs in this page. */
export function decoderText({ decoder, backend, server, project }: Decoding): string {
  if (decoder === "preparing") return "Preparing the decoder, once for this model…";
  if (decoder === "loading") return "Loading the decoder…";
  if (decoder === "failed") {
    const reason = server?.decoder.reason ?? project?.decoder.reason;
    return reason ?? "The decoder could not be started; reload the page";
  }
  return backend === null ? "Decoder ready" : DECODERS[backend];
}
