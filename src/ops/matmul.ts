import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { matmulPortable } from "./matmul_portable.ts";
import { matmulTiled } from "./matmul_tiled.ts";

/**
 * Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. B may be a weight in bf16, all else is f32.
 * @throws RangeError if B is bf16 and not a whole matrix, its rows multiples of four numbers.
 */
export function matmul(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  if (operands.b.type === "bf16") checkBf16(mode, operands, size);
  const record = r.variant === "tiled" ? matmulTiled : matmulPortable;
  record(r, mode, operands, size);
}

function checkBf16(mode: MatmulMode, { b }: MatmulOperands, { N, K, b_offset = 0 }: MatmulSize): void {
  const row = mode === "NT" ? K : N;
  if (mode !== "TN" && b_offset === 0 && row % 4 === 0) return;
  const expected = "expected NT or NN with multiples of 4 from 0. Store it as f32";
  throw new RangeError(`Cannot record matmul() of mode ${mode} with ${b.label} in bf16: its rows of ${row} start at ${b_offset}, ${expected}`);
}
