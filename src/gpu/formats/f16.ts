/**
 * f16 on the host: IEEE 754 half precision, 11 bits of precision up to 65 504, subnormals down to 2^-24. Two numbers in
 * a u32 word, the even one in the low half. Kernels unpack them with shaders/formats/f16.wgsl.
 */

import type { FormatDefinition } from "./format.ts";
import { roundToEven } from "./rounding.ts";
import code from "../../../shaders/formats/f16.wgsl" with { type: "text" };

/** Difference of the exponents' biases (127 and 15) in the bits of an f32. */
const REBIAS = 112 << 23;
/** Bits of 2^-14, the smallest normal f16, of 65536, which is beyond the largest by a whole step, and of infinity. */
const SMALLEST_NORMAL = 0x38800000, TOO_LARGE = 0x47800000, INFINITE = 0x7f800000;
/** The step between subnormals. */
const STEP = 2 ** -24;

/** The f16 nearest to a number, ties to even, as bits. A NaN stays one: its payload may lie in the lower bits only. */
function roundBits(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000, absolute = bits & 0x7fffffff;
  if (absolute > INFINITE) return sign | 0x7e00 | ((absolute >>> 13) & 0x3ff);
  if (absolute >= TOO_LARGE) return sign | 0x7c00;
  if (absolute < SMALLEST_NORMAL) return sign | roundToEven(Math.abs(value) / STEP);
  return sign | ((absolute - REBIAS + 0xfff + ((absolute >>> 13) & 1)) >>> 13);
}

/**
 * The words of an f16 tensor with these values, each rounded to nearest even: 65 520 and more to infinity. The last
 * half of an odd length is 0.
 */
export function toF16(values: Float32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const words = new Uint32Array(Math.ceil(bits.length / 2));
  const halves = new Uint16Array(words.buffer);
  for (let i = 0; i < bits.length; i++) halves[i] = roundBits(bits[i]!, values[i]!);
  return words;
}

/** The f32 of an f16, both as bits. Exact: f32 has the subnormal numbers of f16 as normal ones. */
function widen(half: number): number {
  const sign = (half & 0x8000) << 16, exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent === 31) return sign | INFINITE | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21; // brings the first 1 to bit 10, where it is implied
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 1023) << 13);
}

/** Table of the f32 of all f16, made once: an element costs a load and no branch. */
let widened: Int32Array<ArrayBuffer> | undefined;

/** The f32 of f16 numbers that are given as bits. Exact. */
export function f16ToF32(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const table = widened ??= Int32Array.from({ length: 65_536 }, (_, half) => widen(half));
  const floats = new Int32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = table[halves[i]!]!;
  return new Float32Array(floats.buffer);
}

/** The first `length` numbers in the words of an f16 tensor. Exact. */
export const fromF16 = (words: Uint32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> =>
  f16ToF32(new Uint16Array(words.buffer, words.byteOffset, length));

/** f16 as a storage format. */
export const F16: FormatDefinition = { perWord: 2, grouped: false, pack: toF16, unpack: fromF16, code };
