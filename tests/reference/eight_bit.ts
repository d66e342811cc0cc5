// Block-wise 8-bit optimizer state in f64 (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022): a
// code of dynamicMap for each element, and for each block of 256 the largest magnitude, which the codes are relative
// to.

import type { Reals } from "./ops.ts";
import { type Adam, adamw } from "./optim.ts";
import { dynamicMap } from "../../src/optim/rule/dynamic_map.ts";

/** Elements that share one scale. The last block may have fewer. */
export const BLOCK = 256;

export interface EightBit {
  readonly codes: Uint8Array;
  /** Largest magnitude of each block, an f32. */
  readonly scales: Float32Array;
}

/** The nearest value's index; the lower one halfway between two, in f64. */
export function nearestCode(x: number, map: Float32Array): number {
  let code = 0;
  while (code + 1 < map.length && x > (map[code]! + map[code + 1]!) / 2) code++;
  return code;
}

export function quantize(values: Reals, signed: boolean): EightBit {
  const map = dynamicMap(signed), scales = new Float32Array(Math.ceil(values.length / BLOCK));
  values.forEach((
    value,
    i,
  ) => (scales[Math.floor(i / BLOCK)] = Math.max(scales[Math.floor(i / BLOCK)]!, Math.abs(value))));
  // A block of zeros has scale 0 and keeps the code of 0.
  return {
    scales,
    codes: Uint8Array.from(
      values,
      (value, i) => nearestCode(value === 0 ? 0 : value / scales[Math.floor(i / BLOCK)]!, map),
    ),
  };
}

export function dequantize({ codes, scales }: EightBit, signed: boolean): Reals {
  const map = dynamicMap(signed);
  return Float64Array.from(codes, (code, i) => map[code]! * scales[Math.floor(i / BLOCK)]!);
}

/**
 * Step t = 1, 2, … of AdamW with both moments stored in 8 bits. The update itself sees them before they are rounded.
 */
export function adamw8(
  [parameter, m, v]: readonly [Reals, EightBit, EightBit],
  gradient: Reals,
  lr: number,
  t: number,
  settings: Adam,
): readonly [EightBit, EightBit] {
  const first = dequantize(m, true), second = dequantize(v, false);
  adamw([parameter, first, second], gradient, lr, t, settings);
  return [quantize(first, true), quantize(second, false)];
}
