import type { Constants } from "../gpu/preprocess.ts";

/**
 * How elementwise and row kernels bind tensors whose rows have `length` numbers: as vectors of four where that divides
 * evenly, which costs a software adapter about a third per number, else as scalars.
 */
export function vectorsOf(length: number): { readonly constants: Constants; readonly width: number } {
  return length % 4 === 0
    ? { constants: { VECTOR: "vec4f", BITS: "vec4u", BOOLEAN: "vec4<bool>", IS_VECTOR: true, WIDTH: 4 }, width: 4 }
    : { constants: { VECTOR: "f32", BITS: "u32", BOOLEAN: "bool", IS_VECTOR: false, WIDTH: 1 }, width: 1 };
}

/** The constants of a kernel definition, where no length is known yet. */
export const SCALAR: Constants = vectorsOf(1).constants;
