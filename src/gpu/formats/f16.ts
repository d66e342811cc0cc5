/**
 * f16 on the host: IEEE 754 half precision, 11 bits of precision up to 65 504, subnormals down to 2^-24. Two numbers in
 * a u32 word, the even one in the low half. Kernels unpack them with shaders/lib/f16.wgsl.
 */

import { roundToEven } from "./rounding.ts";

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

/** The first `length` numbers in the words of an f16 tensor. Exact. */
export function fromF16(words: Uint32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(words.buffer, words.byteOffset, length);
  const values = new Float32Array(length), bits = new Uint32Array(values.buffer);
  for (let i = 0; i < length; i++) {
    const half = halves[i]!, sign = (half & 0x8000) << 16, absolute = half & 0x7fff;
    if (absolute < 0x400) values[i] = (sign ? -STEP : STEP) * absolute;
    else bits[i] = sign | ((absolute << 13) + (absolute < 0x7c00 ? REBIAS : 2 * REBIAS));
  }
  return values;
}
