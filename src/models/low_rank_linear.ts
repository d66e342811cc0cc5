import { type Parameter, parameter, type WeightType } from "./parameter.ts";

/** A linear layer whose weight (out, in) is of low rank from the first step on: scale B A. */
export interface LowRankLinear {
  /** Tells the kinds of linear layers apart. */
  readonly layerKind: "factors";
  /** The layer's name, as Hugging Face spells it. */
  readonly name: string;
  /** (rank, in) */
  readonly a: Parameter;
  /** (out, rank) */
  readonly b: Parameter;
  /** alpha / rank */
  readonly scale: number;
}

/** Rank and scale of the layers of a factorised model. */
export interface Factors {
  /** The rank of the factors. */
  readonly rank: number;
  /** The factors' product is scaled by alpha / rank. */
  readonly alpha: number;
}

/**
 * The factors (alpha / rank) B A that stand for a weight (out, in) (low-rank pre-training, Glentis et al., 2025,
 * OptimAI-Lab/Memory_Efficient_Pretraining). Both are uniform within 1 / sqrt(columns), which is torch's
 * kaiming_uniform(a = sqrt 5). `name` is the layer's, without ".weight".
 * @throws RangeError if the rank is not a whole number from 1 to min(out, in).
 */
export function createLowRankLinear(
  name: string,
  out: number,
  width: number,
  { rank, alpha }: Factors,
  type: WeightType = "f32",
): LowRankLinear {
  const most = Math.min(out, width);
  if (!Number.isInteger(rank) || rank < 1 || rank > most) {
    throw new RangeError(
      `Cannot factorise ${name} (${out},${width}) with rank ${rank}: expected a whole number from 1 to ${most}`,
    );
  }
  const factor = (suffix: string, rows: number, columns: number): Parameter =>
    parameter(`${name}.${suffix}.weight`, [rows, columns], { uniform: 1 / Math.sqrt(columns) }, { type });
  return {
    layerKind: "factors",
    name,
    a: factor("low_rank_a", rank, width),
    b: factor("low_rank_b", out, rank),
    scale: alpha / rank,
  };
}

/** scale B A, (out, in), summed in f64: `a` is (rank, in), `b` (out, rank). */
export function product(a: Float32Array, b: Float32Array, rank: number, scale: number): Float32Array<ArrayBuffer> {
  const width = a.length / rank, out = b.length / rank;
  const data = new Float32Array(out * width);
  const row = new Float64Array(width);
  for (let i = 0; i < out; i++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      for (let j = 0, factor = b[i * rank + k]!; j < width; j++) row[j]! += factor * a[k * width + j]!;
    }
    for (let j = 0; j < width; j++) data[i * width + j] = scale * row[j]!;
  }
  return data;
}
