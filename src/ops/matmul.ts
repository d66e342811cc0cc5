import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { matmulPortable } from "./matmul_portable.ts";
import { matmulTiled } from "./matmul_tiled.ts";

/**
 * Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. Each may be stored in any format
 * that is written, and B, the weight of NT and NN, in any.
 * @throws RangeError if B is not f32, and its rows or its offset are not multiples of four numbers.
 */
export function matmul(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  if (operands.b.type !== "f32") checkStored(mode, operands, size);
  const record = r.target === "tiled" ? matmulTiled : matmulPortable;
  record(r, mode, operands, size);
}

/** Refuses a matrix that cannot be read four numbers at a time. */
function checkStored(mode: MatmulMode, { b }: MatmulOperands, { N, K, b_offset = 0 }: MatmulSize): void {
  const row = mode === "NT" ? K : N;
  if (row % 4 === 0 && b_offset % 4 === 0) return;
  throw new RangeError(
    `Cannot record matmul() of mode ${mode} with ${b.label} in ${b.type}: rows of ${row} numbers from number ` +
      `${b_offset} on, expected multiples of 4. Store it as f32`,
  );
}
