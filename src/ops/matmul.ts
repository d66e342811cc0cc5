import { isQuantised } from "../gpu/formats/index.ts";
import type { Recorder } from "../plan/recorder.ts";
import { size as sizeOf } from "../plan/tensor.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { matmulPortable } from "./matmul_portable.ts";
import { matmulTiled } from "./matmul_tiled.ts";

/**
 * Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. B may be a weight in any format, all
 * else is f32.
 * @throws RangeError if B is not f32 and not a whole matrix, its rows multiples of four numbers.
 */
export function matmul(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  if (operands.b.type !== "f32") checkStored(mode, operands, size);
  const record = r.target === "tiled" ? matmulTiled : matmulPortable;
  record(r, mode, operands, size);
}

/** Refuses a part of a quantised matrix: its scales are found by its size, so it is used whole. */
function checkStored(mode: MatmulMode, { b }: MatmulOperands, { N, K, b_offset = 0 }: MatmulSize): void {
  const row = mode === "NT" ? K : N, isWhole = b.type === "u32" || !isQuantised(b.type) || sizeOf(b) === N * K;
  if (mode !== "TN" && b_offset === 0 && row % 4 === 0 && isWhole) return;
  const expected = "expected NT or NN with multiples of 4 from 0, all of them if it has scales. Store it as f32";
  throw new RangeError(
    `Cannot record matmul() of mode ${mode} with ${b.label} in ${b.type}: ${(N * K) / row} rows of ${row} of its ${
      sizeOf(b)
    } numbers start at ${b_offset}, ${expected}`,
  );
}
