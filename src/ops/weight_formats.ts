import type { Constants } from "../gpu/preprocess.ts";
import type { ElementType } from "../plan/tensor.ts";
import bf16Code from "../../shaders/lib/bf16.wgsl" with { type: "text" };
import f16Code from "../../shaders/lib/f16.wgsl" with { type: "text" };
import int8Code from "../../shaders/lib/int8.wgsl" with { type: "text" };
import nf4Code from "../../shaders/lib/nf4.wgsl" with { type: "text" };

/** Libraries of kernels that read a matrix in any format. */
export const UNPACK_LIBRARIES: readonly string[] = [bf16Code, f16Code, int8Code, nf4Code];

/**
 * Constants of kernels that read a matrix in a format. PACKED: it is not f32; FOUR: the element type of an array that
 * is read four numbers at a time.
 */
export function formatConstants(format: ElementType): Constants {
  const isHalf = format === "bf16" || format === "f16";
  return {
    IS_PACKED: format !== "f32",
    BF16: format === "bf16",
    F16: format === "f16",
    INT8: format === "int8",
    NF4: format === "nf4",
    WEIGHT4: isHalf ? "vec2u" : "u32",
  };
}
