import type * as Ort from "onnxruntime-web";
import type { Model } from "../api/types";
import type { Backend } from "./decoder";
import type { Tokens } from "./steps";

export type Runtime = Pick<typeof Ort, "InferenceSession" | "Tensor">;

/** The decoder's three files. */
export interface NetworkFiles {
  image: Uint8Array;
  click: Uint8Array;
  refine: Uint8Array;
}

/** Four masks: the first answers clear prompts, the others are readings of a lone click. */
export interface Decoded {
  /** Logits, row-major `[4, side, side]`, where `side` is the model's `logits_side`. */
  logits: Float32Array;
  /** Predicted IoU of each. */
  scores: Float32Array;
}

/** What the networks keep of a picture. */
export interface EncodedPicture {
  /** Answer a prompt that has no mask. */
  click(tokens: Tokens): Promise<Decoded>;
  /** Answer a prompt with the logits `[side, side]` of a mask that it refines; it may have no points. */
  refine(tokens: Tokens, logits: Float32Array): Promise<Decoded>;
  /** Give its memory back; nothing can be asked of it afterwards. */
  free(): void;
}

/** The decoder in a run-time. */
export interface Networks {
  readonly backend: Backend;
  /** @param embedding - of the model's `embedding_shape`. */
  encode(embedding: Float32Array): Promise<EncodedPicture>;
  close(): Promise<void>;
}

type Tensors = Record<string, Ort.Tensor>;

/**
 * Build the decoder's sessions.
 *
 * @throws what the run-time throws, where it cannot.
 */
export async function openNetworks(
  runtime: Runtime,
  backend: Backend,
  files: NetworkFiles,
  model: Model,
): Promise<Networks> {
  const { InferenceSession } = runtime;
  const options: Ort.InferenceSession.SessionOptions = {
    executionProviders: [backend],
    graphOptimizationLevel: "all",
    // Threads that wait by turning round take processor time from the page and the server.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  };
  const isGpu = backend === "webgpu";
  const image = await InferenceSession.create(files.image, {
    ...options,
    // What each click reads stays on the GPU.
    ...(isGpu && { preferredOutputLocation: "gpu-buffer" }),
  });
  const click = await InferenceSession.create(files.click, options);
  const refine = await InferenceSession.create(files.refine, options);
  const side = model.logits_side;

  const floats = (values: Float32Array, shape: readonly number[]) => new runtime.Tensor("float32", values, shape);
  const pointsOf = ({ coords, labels }: Tokens) => ({
    point_coords: floats(coords, [1, labels.length, 2]),
    point_labels: floats(labels, [1, labels.length]),
  });
  const run = async (session: Ort.InferenceSession, feeds: Tensors): Promise<Decoded> => {
    const { low_res_masks: logits, iou_predictions: scores } = await session.run(feeds);
    if (!(logits?.data instanceof Float32Array && scores?.data instanceof Float32Array)) {
      throw new TypeError("the decoder's file gives no masks");
    }
    return { logits: logits.data, scores: scores.data };
  };

  return {
    backend,
    async encode(embedding) {
      const embedded = { image_embeddings: floats(embedding, model.embedding_shape) };
      const shared: Tensors = await image.run(embedded);
      return {
        click: (tokens) => run(click, { ...shared, ...pointsOf(tokens) }),
        refine: (tokens, logits) =>
          run(refine, {
            ...embedded,
            ...pointsOf(tokens),
            mask_input: floats(logits, [1, 1, side, side]),
            has_mask_input: floats(Float32Array.of(1), [1]),
          }),
        free() {
          for (const tensor of Object.values(shared)) tensor.dispose();
        },
      };
    },
    async close() {
      await Promise.all([image, click, refine].map((session) => session.release()));
    },
  };
}
