/**
 * int8 on the host: value = q * scale, with one scale for each group of 64 numbers, absmax / 127, so that q lies in -127 … 127 and
 * the error is half a scale at most. Four q in a u32 word, the first in the low byte; the scales (f32) follow the last of those
 * words. Kernels unpack them with shaders/lib/int8.wgsl.
 */

import { GROUP, groupOf, largestOfGroups } from "./groups.ts";
import { roundToEven } from "./rounding.ts";

const LARGEST = 127;

/** The words of an int8 tensor with these values, which are finite. A group of zeros has the scale 0. */
export function toInt8(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const scales = largestOfGroups(values).map((largest) => largest / LARGEST), dataWords = Math.ceil(values.length / 4);
  const words = new Uint32Array(dataWords + scales.length), bytes = new Int8Array(words.buffer);
  for (let i = 0; i < values.length; i++) {
    const scale = scales[groupOf(i)]!;
    // A scale that is rounded down, as the smallest are, may leave a quotient beyond 127.
    if (scale > 0) bytes[i] = Math.max(-LARGEST, Math.min(LARGEST, roundToEven(values[i]! / scale)));
  }
  words.set(new Uint32Array(scales.buffer), dataWords);
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
