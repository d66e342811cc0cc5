import type { Recorder } from "../plan/recorder.ts";
import type { MatmulMode, MatmulOperands, MatmulSize } from "./matmul_operands.ts";
import { matmulPortable } from "./matmul_portable.ts";
import { matmulTiled } from "./matmul_tiled.ts";

/** Records out = A B, or out += A B if `target.accumulate`, or out = addend + A B. */
export function matmul(r: Recorder, mode: MatmulMode, operands: MatmulOperands, size: MatmulSize): void {
  const record = r.variant === "tiled" ? matmulTiled : matmulPortable;
  record(r, mode, operands, size);
}
