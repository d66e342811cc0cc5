/**
 * bf16 on the host: the upper half of an f32, so the same range with 8 bits of precision. Two numbers in a u32 word,
 * the even one in the low half. Kernels unpack them with shaders/formats/bf16.wgsl.
 */

import type { FormatDefinition } from "./format.ts";
import code from "../../../shaders/formats/bf16.wgsl" with { type: "text" };

/**
 * The bf16 nearest to a number, ties to even, both as bits. A NaN stays one: its payload may lie in the lower half
 * only.
 */
function roundBits(bits: number): number {
  const isNaN = (bits & 0x7fffffff) > 0x7f800000;
  return isNaN ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** The words of a bf16 tensor with these values, each rounded to nearest even. The last half of an odd length is 0. */
export function toBf16(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const words = new Uint32Array(Math.ceil(bits.length / 2));
  const halves = new Uint16Array(words.buffer);
  for (let i = 0; i < bits.length; i++) halves[i] = roundBits(bits[i]!);
  return words;
}

/** The f32 of bf16 numbers that are given as bits. Exact. */
export function bf16ToF32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const floats = new Int32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = halves[i]! << 16;
  return new Float32Array(floats.buffer);
}

/** The first `length` numbers in the words of a bf16 tensor. Exact. */
export const fromBf16 = (words: Uint32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> =>
  bf16ToF32(new Uint16Array(words.buffer, words.byteOffset, length));

/** bf16 as a storage format. */
export const BF16: FormatDefinition = { perWord: 2, grouped: false, pack: toBf16, unpack: fromBf16, code };
