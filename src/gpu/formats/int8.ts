/**
 * int8 on the host: value = q * scale, with one scale for each group of 64 numbers, absmax / 127, so that q lies in
 * -127 … 127 and the error is half a scale at most. Four q in a u32 word, the first in the low byte; the scales (f32)
 * follow the last of those words. Kernels unpack them with shaders/formats/int8.wgsl.
 */

import type { FormatDefinition } from "./format.ts";
import { GROUP, groupOf, largestOfGroups } from "./groups.ts";
import { roundToEven } from "./rounding.ts";
import code from "../../../shaders/formats/int8.wgsl" with { type: "text" };

const LARGEST = 127;

/**
 * The words of an int8 tensor with these values. A group of zeros has the scale 0; one with numbers that are not finite
 * has such a scale, and no codes.
 */
export function toInt8(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const largest = largestOfGroups(values), dataWords = Math.ceil(values.length / 4);
  const words = new Uint32Array(dataWords + largest.length),
    bytes = new Int8Array(words.buffer),
    scales = new Float32Array(words.buffer, 4 * dataWords);
  for (let group = 0; group < largest.length; group++) {
    scales[group] = largest[group]! / LARGEST;
    const scale = scales[group]!, end = Math.min(GROUP * (group + 1), values.length);
    if (!(scale > 0 && scale < Infinity)) continue;
    for (let i = GROUP * group; i < end; i++) {
      // A scale that is rounded down, as the smallest are, may leave a quotient beyond 127.
      const code = roundToEven(values[i]! / scale) | 0;
      bytes[i] = code > LARGEST ? LARGEST : code < -LARGEST ? -LARGEST : code;
    }
  }
  return words;
}

/** The first `length` numbers in the words of an int8 tensor of that length, rounded to f32 as kernels round them. */
export function fromInt8(words: Uint32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
  const bytes = new Int8Array(words.buffer, words.byteOffset, length), dataWords = Math.ceil(length / 4);
  const scales = new Float32Array(words.buffer, words.byteOffset + 4 * dataWords, Math.ceil(length / GROUP));
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = bytes[i]! * scales[groupOf(i)]!;
  return values;
}

/** int8 as a storage format. */
export const INT8: FormatDefinition = { perWord: 4, grouped: true, pack: toInt8, unpack: fromInt8, code };
