import type { Recorder, Variable } from "../plan/recorder.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";
import { passGradient } from "./elementwise.ts";
import { matmul } from "./matmul.ts";

export interface LinearOptions {
  /** (N, out), added to y. */
  readonly residual?: Variable;
  /** (N, out): where y goes, for results that the host reads. */
  readonly out?: Tensor;
}

/**
 * y = x Wᵀ, plus `residual` if given. x: (N, in), W: (out, in) as in PyTorch, y and residual: (N, out).
 * A frozen weight costs no gradient, and an input with nothing trainable below it no dx.
 * @throws RangeError if the shapes do not match.
 */
export function linear(r: Recorder, x: Variable, weight: Variable, { residual, out: given }: LinearOptions = {}): Variable {
  const [N, K] = x.value.shape as [number, number];
  const [out, width] = weight.value.shape as [number, number];
  if (K !== width) throw new RangeError(`Cannot record linear() with ${weight.value.label}: x is (${x.value.shape}), expected (N, ${width})`);
  const needsGradient = x.needsGradient || weight.needsGradient || (residual?.needsGradient ?? false);
  const y = { value: given ?? tensor(weight.value.label.replace(/\.weight$/, ""), [N, out], "activation"), needsGradient };
  const target = { tensor: y.value, accumulate: false };
  matmul(r, "NT", { a: x.value, b: weight.value, target, addend: residual?.value }, { M: N, N: out, K });
  r.onBackward(y, residual ? [x, weight, residual] : [x, weight], (dy) => {
    const dWeight = r.gradientFor(weight);
    if (dWeight) matmul(r, "TN", { a: dy, b: x.value, target: dWeight }, { M: out, N: K, K: N });
    const dx = r.gradientFor(x);
    if (dx) matmul(r, "NN", { a: dy, b: weight.value, target: dx }, { M: N, N: K, K: out });
    // Nobody reads dy after this, so a residual that has no gradient yet takes it over instead of copying it.
    if (residual?.needsGradient) {
      if (r.gradientOf(residual)) passGradient(r, dy, residual);
      else r.setGradient(residual, dy);
    }
  });
  return y;
}
