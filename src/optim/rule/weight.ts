import { SCALAR, vectorsOf } from "../../ops/vector.ts";
import type { Constants } from "../../gpu/preprocess.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import bf16Code from "../../../shaders/lib/bf16.wgsl" with { type: "text" };
import bf16RoundCode from "../../../shaders/lib/bf16_round.wgsl" with { type: "text" };
import philoxCode from "../../../shaders/lib/philox.wgsl" with { type: "text" };
import weightBf16Code from "../../../shaders/lib/weight_bf16.wgsl" with { type: "text" };
import weightCode from "../../../shaders/lib/weight.wgsl" with { type: "text" };
import weightF32Code from "../../../shaders/lib/weight_f32.wgsl" with { type: "text" };

/** Storage of a parameter, for the kernels that write it. */
export interface WeightForm {
  readonly type: "f32" | "bf16";
  /** Numbers that a thread handles. */
  readonly width: 1 | 4;
  /** True if weights decay after the update instead of before it. */
  readonly decayAfter: boolean;
}

/**
 * The form of a parameter.
 * @param length a multiple of four lets a thread have four neighbours: of the tensor, or of a row if rows must not be
 * mixed.
 */
export function weightForm(parameter: Tensor, decay: "before" | "after", length = size(parameter)): WeightForm {
  return {
    type: parameter.type === "bf16" ? "bf16" : "f32",
    width: vectorsOf(length).width as 1 | 4,
    decayAfter: decay === "after",
  };
}

/** Constants and libraries of a kernel that writes such a parameter. */
export function weightText(
  { type, width, decayAfter }: WeightForm,
): { readonly constants: Constants; readonly libraries: readonly string[] } {
  const vectors = width === 4 ? vectorsOf(4).constants : SCALAR;
  return {
    constants: {
      ...vectors,
      BF16: type === "bf16",
      WEIGHT: type === "bf16" ? "vec2u" : vectors["VECTOR"]!,
      DECAY_AFTER: decayAfter,
    },
    libraries: [
      weightCode,
      ...(type === "bf16" ? [bf16Code, bf16RoundCode, philoxCode, weightBf16Code] : [weightF32Code]),
    ],
  };
}
