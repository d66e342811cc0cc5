import type { Constants } from "../gpu/preprocess.ts";

/**
 * Constants of elementwise and row kernels that bind tensors with rows of `length` numbers: vectors of four if that
 * divides evenly, which costs a software adapter about a third per number, else scalars.
 */
export function vectorsOf(length: number): { readonly constants: Constants; readonly width: number } {
  return length % 4 === 0
    ? { constants: { VECTOR: "vec4f", BITS: "vec4u", BOOLEAN: "vec4<bool>", IS_VECTOR: true, WIDTH: 4 }, width: 4 }
    : { constants: { VECTOR: "f32", BITS: "u32", BOOLEAN: "bool", IS_VECTOR: false, WIDTH: 1 }, width: 1 };
}

/** The constants of a kernel definition, before a length is known. */
export const SCALAR: Constants = vectorsOf(1).constants;
