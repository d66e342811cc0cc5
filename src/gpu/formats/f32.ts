import type { FormatDefinition } from "./format.ts";
import code from "../../../shaders/formats/f32.wgsl" with { type: "text" };

/** f32: the words are the numbers, so both ways are views, no copy. */
export const F32: FormatDefinition = {
  perWord: 1,
  grouped: false,
  pack: (values) => new Uint32Array(values.buffer, values.byteOffset, values.length),
  unpack: (words, length) => new Float32Array(words.buffer, words.byteOffset, length),
  code,
};
