// Numbers for tests. All are exact in f32, so that the f64 reference and the device start from the same ones.

import type { Reals } from "../reference/ops.ts";

/** Numbers in (-range, range). */
export const uniform = (next: () => number, length: number, range = 1): Reals =>
  Float64Array.from({ length }, () => Math.fround((2 * next() - 1) * range));

/** Integers below `limit`. */
export const integers = (next: () => number, length: number, limit: number): Uint32Array<ArrayBuffer> =>
  Uint32Array.from({ length }, () => Math.floor(next() * limit));

export const absolute = (values: Reals): Reals => values.map(Math.abs);
