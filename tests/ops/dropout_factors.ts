// The masks of dropout, as the host's generator has them.

import type { Reals } from "../reference/ops.ts";
import { philox4x32, purposeKey } from "../../src/random/philox.ts";

export const SEED = 7;

export interface Draw {
  readonly purpose?: string;
  readonly step?: number;
  readonly micro?: number;
}

/** The factor of each of n numbers. */
export function dropoutFactors(n: number, p: number, { purpose = "test", step = 3, micro = 0 }: Draw = {}): Reals {
  return Float64Array.from({ length: n }, (_, i) => {
    const words = philox4x32([i >>> 2, 0, step, micro], purposeKey(SEED, purpose));
    return words[i % 4]! < p * 2 ** 32 ? 0 : 1 / (1 - p);
  });
}
