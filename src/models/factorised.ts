import { linear, type LinearOptions } from "../ops/linear.ts";
import { scale } from "../ops/scale.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { type Parameter, parameter, type WeightType } from "./parameter.ts";

/** A weight (out, in) of low rank: scale B A. */
export interface FactorisedWeight {
  /** (rank, in) */
  readonly a: Parameter;
  /** (out, rank) */
  readonly b: Parameter;
  /** alpha / rank */
  readonly scale: number;
}

/** What the settings of a factorised model say. */
export interface Factors {
  readonly rank: number;
  readonly alpha: number;
}

export type LinearWeight = Parameter | FactorisedWeight;

/**
 * The factors (alpha / rank) B A that stand for a weight (out, in) from the first step on (low-rank pre-training, Glentis et al., 2025,
 * OptimAI-Lab/Memory_Efficient_Pretraining). Both are uniform within 1 / sqrt(columns), which is torch's kaiming_uniform(a = sqrt 5).
 * `name` is the layer's, without ".weight".
 * @throws RangeError if the rank is not a whole number from 1 to min(out, in).
 */
export function factorised(name: string, out: number, width: number, { rank, alpha }: Factors, type: WeightType = "f32"): FactorisedWeight {
  const most = Math.min(out, width);
  if (!Number.isInteger(rank) || rank < 1 || rank > most) {
    throw new RangeError(`Cannot factorise ${name} (${out},${width}) with rank ${rank}: expected a whole number from 1 to ${most}`);
  }
  const factor = (suffix: string, rows: number, columns: number): Parameter =>
    parameter(`${name}.${suffix}.weight`, [rows, columns], { uniform: 1 / Math.sqrt(columns) }, type);
  return { a: factor("low_rank_a", rank, width), b: factor("low_rank_b", out, rank), scale: alpha / rank };
}

/** As linear(), for a plain weight or a factorised one: y = scale B (A x). Scaled between the two, where there are fewest numbers. */
export function projection(r: Recorder, x: Variable, weight: LinearWeight, options: LinearOptions = {}): Variable {
  if ("value" in weight) return linear(r, x, weight, options);
  const inner = linear(r, x, weight.a);
  if (weight.scale !== 1) scale(r, inner, weight.scale);
  return linear(r, inner, weight.b, options);
}

/** The tensors to train: the weight itself, or A and B. */
export const parametersOf = (weight: LinearWeight): readonly Parameter[] => ("value" in weight ? [weight] : [weight.a, weight.b]);

/** The weight (out, in) that factors stand for, scale B A, under the name that it has in a model without factors. */
export function mergedWeight({ a, b, scale }: FactorisedWeight, valuesA: Float32Array, valuesB: Float32Array): { readonly name: string; readonly shape: readonly number[]; readonly data: Float32Array<ArrayBuffer> } {
  const [rank, width] = a.value.shape as [number, number], [out] = b.value.shape as [number];
  const data = new Float32Array(out * width);
  const row = new Float64Array(width);
  for (let i = 0; i < out; i++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) for (let j = 0, factor = valuesB[i * rank + k]!; j < width; j++) row[j]! += factor * valuesA[k * width + j]!;
    for (let j = 0; j < width; j++) data[i * width + j] = scale * row[j]!;
  }
  return { name: a.value.label.replace(/\.low_rank_a\.weight$/, ".weight"), shape: [out, width], data };
}
