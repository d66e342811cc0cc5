/**
 * nf4 on the host: value = NF4[code] * absmax, with one absmax for each group of 64 numbers (QLoRA, Dettmers et al.,
 * 2023). Eight codes in a u32 word, the first in the low four bits; the absmax (f32) follow the last of those words.
 * Kernels unpack them with shaders/formats/nf4.wgsl, which has the same table.
 */

import type { FormatDefinition } from "./format.ts";
import { GROUP, groupOf, largestOfGroups } from "./groups.ts";
import code from "../../../shaders/formats/nf4.wgsl" with { type: "text" };

/**
 * Quantiles of the normal distribution, zero among them, scaled to [-1, 1]: the numbers of bitsandbytes, which
 * everybody's nf4 has.
 */
export const NF4: readonly number[] = [
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
];
/** Midpoints between neighbours, where the nearest of the table changes; nothing lies beyond the last. */
const MIDPOINTS = Float64Array.from(NF4, (value, i) => (i + 1 < NF4.length ? (value + NF4[i + 1]!) / 2 : Infinity));

/** [-1, 1] is cut into steps of 1 / STEPS, narrower than any two midpoints lie apart: the code at the start of each. */
const STEPS = 1024;
const CODES = Uint8Array.from(
  { length: 2 * STEPS + 1 },
  (_, step) => MIDPOINTS.findIndex((midpoint) => step / STEPS - 1 <= midpoint),
);

/**
 * The code of the number of the table that is nearest to x, in [-1, 1]. One lookup and a comparison: a search's
 * branches cannot be predicted.
 */
function nearest(x: number): number {
  const code = CODES[((x + 1) * STEPS) | 0]!;
  return x > MIDPOINTS[code]! ? code + 1 : code;
}

/**
 * The words of an nf4 tensor with these values. A group of zeros has the absmax 0; one with numbers that are not finite
 * has such an absmax, and its codes mean nothing.
 */
export function toNf4(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const largest = largestOfGroups(values), dataWords = Math.ceil(values.length / 8);
  const words = new Uint32Array(dataWords + largest.length);
  for (let at = 0; at < dataWords; at++) {
    // The quotients of a group of zeros must be zero too.
    const absmax = largest[groupOf(8 * at)]! || 1;
    let word = 0;
    for (let i = Math.min(8 * at + 8, values.length) - 1; i >= 8 * at; i--) {
      word = (word << 4) | nearest(values[i]! / absmax);
    }
    words[at] = word;
  }
  words.set(new Uint32Array(largest.buffer), dataWords);
  return words;
}

/** The first `length` numbers in the words of an nf4 tensor of that length, rounded to f32 as kernels round them. */
export function fromNf4(words: Uint32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(
    words.buffer,
    words.byteOffset + 4 * Math.ceil(length / 8),
    Math.ceil(length / GROUP),
  );
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = NF4[(words[i >> 3]! >>> (4 * (i & 7))) & 15]! * largest[groupOf(i)]!;
  return values;
}

/** nf4 as a storage format. */
export const NF4_FORMAT: FormatDefinition = { perWord: 8, grouped: true, pack: toNf4, unpack: fromNf4, code };
