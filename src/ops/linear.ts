import type { GradientTarget, Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor, tensor } from "../plan/tensor.ts";
import { addBias } from "./bias.ts";
import { biasBackward } from "./column_sums.ts";
import { moveGradient } from "./elementwise.ts";
import { matmul } from "./matmul.ts";

/** Options of a linear op. */
export interface LinearOptions {
  /** (out), added to every row of y. */
  readonly bias?: Variable;
  /** (N, out), added to y. */
  readonly residual?: Variable;
  /**
   * (N, out): the tensor for y, for results that the host reads. If it is the residual's own tensor, y is added to that
   * in place: then no op may read the residual's old value, not even in a backward pass.
   */
  readonly out?: Tensor;
  /** True if the weight is (in, out), as in GPT-2's Conv1D: y = x W. */
  readonly transposed?: boolean;
}

/**
 * y = x Wᵀ, plus `bias` and `residual` if given. x: (N, in), W: (out, in) as in PyTorch, y and residual: (N, out).
 * A frozen weight costs no gradient, and an input with nothing trainable below it no dx.
 * @throws RangeError if the shapes do not match.
 */
export function linear(
  r: Recorder,
  x: Variable,
  weight: Variable,
  { bias, residual, out: given, transposed = false }: LinearOptions = {},
): Variable {
  const [N, K] = x.value.shape as [number, number];
  const [rows, columns] = weight.value.shape as [number, number];
  const [out, width] = transposed ? [columns, rows] : [rows, columns];
  if (K !== width) {
    throw new RangeError(
      `Cannot record linear() with ${weight.value.label}: x is (${x.value.shape}), expected (N, ${width})`,
    );
  }
  if (bias && size(bias.value) !== out) {
    throw new RangeError(
      `Cannot record linear() with ${bias.value.label} (${bias.value.shape}): expected (${out}), a number for each ` +
        "column of y",
    );
  }
  const inputs = [x, weight, bias, residual].filter((input) => input !== undefined);
  const y = {
    value: given ??
      tensor(weight.value.label.replace(/\.weight$/, ""), [N, out], "activation", r.activationType([N, out])),
    needsGradient: inputs.some(({ needsGradient }) => needsGradient),
  };
  const accumulate = y.value === residual?.value;
  matmul(r, transposed ? "NN" : "NT", {
    a: x.value,
    b: weight.value,
    target: { tensor: y.value, accumulate },
    addend: accumulate ? undefined : residual?.value,
  }, { M: N, N: out, K });
  if (bias) addBias(r, y.value, bias.value);
  r.onBackward(y, inputs, (dy) => {
    const dBias = bias && r.gradientFor(bias);
    if (dBias) biasBackward(r, dy, dBias);
    const dWeight = r.gradientFor(weight);
    if (dWeight) recordWeightGradient(r, { x: x.value, dy }, dWeight, transposed);
    const dx = r.gradientFor(x);
    if (dx) matmul(r, transposed ? "NT" : "NN", { a: dy, b: weight.value, target: dx }, { M: N, N: K, K: out });
    if (residual) moveGradient(r, dy, residual);
  });
  return y;
}

function recordWeightGradient(
  r: Recorder,
  { x, dy }: { readonly x: Tensor; readonly dy: Tensor },
  target: GradientTarget,
  transposed: boolean,
): void {
  const [a, b] = transposed ? [x, dy] : [dy, x];
  matmul(r, "TN", { a, b, target }, { M: a.shape[1]!, N: b.shape[1]!, K: a.shape[0]! });
}
