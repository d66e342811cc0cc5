import { linear } from "../ops/linear.ts";
import { scale } from "../ops/scale.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { ParameterKind } from "../plan/variable.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { LowRankLinear } from "./low_rank_linear.ts";
import { applyDropout, type DropoutSource } from "./forward_inputs.ts";
import { type Parameter, parameter, type WeightType } from "./parameter.ts";

/** The low-rank path that LoRA (Hu et al., 2021) adds to a linear layer: scale B (A dropout(x)). */
export interface LoraFactors {
  /** (rank, in) */
  readonly a: Parameter;
  /** (out, rank), zeros at first. */
  readonly b: Parameter;
  /** Multiplies what the factors add: lora_alpha / r. */
  readonly scale: number;
  /** Share of the elements of x that are dropped in training. */
  readonly dropout: number;
}

/** A linear layer y = x Wᵀ + bias, under the name of its module. */
export interface Linear {
  /** Tells the kinds of linear layers apart. */
  readonly layerKind: "dense";
  /** The layer's name, as Hugging Face spells it. */
  readonly name: string;
  /** (out, in), or (in, out) if transposed. */
  readonly weight: Parameter;
  /** (out) */
  readonly bias?: Parameter;
  /** GPT-2's Conv1D: its files have the weight as (in, out), and it stays so. */
  readonly transposed?: boolean;
  /** The trained factors that are added, with LoRA. */
  readonly lora?: LoraFactors;
}

/** A linear layer, dense or as two factors. */
export type LinearLayer = Linear | LowRankLinear;

/** Options of a new dense layer. */
export interface CreateLinearOptions {
  /** True if a bias is added. */
  readonly bias?: boolean;
  /** True if the weight is stored (in, out), as GPT-2's are. */
  readonly transposed?: boolean;
  /** The format in which the weight is kept. */
  readonly type?: WeightType;
  /** "head" for the classifier. */
  readonly kind?: ParameterKind;
}

/** A linear layer with weights drawn with a standard deviation, and a bias of zeros if it has one. */
export function createLinear(
  name: string,
  out: number,
  width: number,
  deviation: number,
  { bias = false, transposed = false, type = "f32", kind = "linear" }: CreateLinearOptions = {},
): Linear {
  return {
    layerKind: "dense",
    name,
    weight: parameter(`${name}.weight`, transposed ? [width, out] : [out, width], deviation, { type, kind }),
    ...(bias && { bias: parameter(`${name}.bias`, [out], "zeros") }),
    ...(transposed && { transposed }),
  };
}

/** Outputs and inputs of a layer. */
export function widthsOf({ weight, transposed = false }: Linear): { readonly out: number; readonly width: number } {
  const [rows, columns] = weight.value.shape as [number, number];
  return transposed ? { out: columns, width: rows } : { out: rows, width: columns };
}

/** Options of applying a linear layer. */
export interface ApplyLinearOptions {
  /** (N, out), added to y. */
  readonly residual?: Variable;
  /** (N, out): takes y, for results that the host reads. */
  readonly out?: Tensor;
  /** Source of the masks of LoRA's dropout. */
  readonly dropout?: DropoutSource | undefined;
}

/**
 * y = x Wᵀ + bias + residual, with what LoRA adds; of a factorised layer y = scale B (A x). x: (N, in), y: (N, out).
 * The scale is applied between two factors, where there are fewest numbers, and B A is never formed.
 */
export function applyLinear(
  r: Recorder,
  x: Variable,
  layer: LinearLayer,
  { dropout, ...options }: ApplyLinearOptions = {},
): Variable {
  if ("a" in layer) return linear(r, loraDown(r, x, layer), layer.b, options);
  const { weight, bias, transposed = false, lora } = layer;
  const y = linear(r, x, weight, { ...options, ...(bias && { bias }), transposed });
  if (!lora) return y;
  // In place: while B is zeros, y keeps its bits.
  return linear(r, loraDown(r, applyDropout(r, x, dropout, lora.dropout, layer.name), lora), lora.b, {
    residual: y,
    out: y.value,
  });
}

/** scale A x: (N, rank). */
function loraDown(r: Recorder, x: Variable, { a, scale: factor }: Pick<LoraFactors, "a" | "scale">): Variable {
  const inner = linear(r, x, a);
  if (factor !== 1) scale(r, inner, factor);
  return inner;
}
