import { vectorsOf } from "../../ops/vector.ts";
import type { Constants } from "../../gpu/preprocess.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import bf16RoundCode from "../../../shaders/lib/bf16_round.wgsl" with { type: "text" };
import philoxCode from "../../../shaders/lib/philox.wgsl" with { type: "text" };
import weightCode from "../../../shaders/lib/weight.wgsl" with { type: "text" };

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
    width: vectorsOf(length).width,
    decayAfter: decay === "after",
  };
}

/** Constants and libraries of a kernel that writes such a parameter. */
export function weightText(
  { type, width, decayAfter }: WeightForm,
): { readonly constants: Constants; readonly libraries: readonly string[] } {
  return {
    constants: { ...vectorsOf(width).constants, DECAY_AFTER: decayAfter },
    libraries: [weightCode, ...(type === "bf16" ? [bf16RoundCode, philoxCode] : [])],
  };
}
