import type { DecoderFiles, Model, Prompts } from "../../../src/api/types";
import { createDecoder, type DecoderOptions } from "../../../src/decoder/client";
import type { Decoder } from "../../../src/decoder/decoder";
import type { Size } from "../../../src/geometry/shapes";

let decoder: Decoder = createDecoder();

/** What a test asks for: the decoder as the studio has it, without the studio around it. */
const calls = {
  load(files: DecoderFiles, model: Model, options: DecoderOptions = {}) {
    decoder.close();
    decoder = createDecoder(options);
    return decoder.load(files, model);
  },
  async setPicture(picture: number, address: string, size: Size) {
    await decoder.setPicture(picture, await (await fetch(address)).arrayBuffer(), size);
  },
  answer: (picture: number, prompts: Prompts) => decoder.answer(picture, prompts),
  async preview(picture: number, prompts: Prompts) {
    const preview = await decoder.preview(picture, prompts);
    return preview && { score: preview.score, rings: preview.rings.map((ring) => [...ring]) };
  },
  async hover(picture: number, x: number, y: number) {
    const preview = await decoder.hover(picture, { x, y });
    return preview && { score: preview.score, rings: preview.rings.map((ring) => [...ring]) };
  },
  hasPicture: (picture: number) => decoder.hasPicture(picture),
};

Object.assign(window, { calls });
