import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";

export interface AttentionSize {
  readonly B: number;
  readonly T: number;
  /** Query heads. */
  readonly H: number;
  /** Key/value heads; divides H (grouped-query attention, Ainslie et al., 2023). */
  readonly KV: number;
  readonly D: number;
}

/** Where attention writes the gradient of q, k or v. Its kernels do not add: rope has left these with no other user. */
export function newGradient(r: Recorder, variable: Variable): Tensor | undefined {
  const target = r.gradientFor(variable);
  if (target?.accumulate) throw new Error(`Cannot record the backward pass of attention(): ${variable.value.label} already has a gradient. Give it no other use`);
  return target?.tensor;
}
