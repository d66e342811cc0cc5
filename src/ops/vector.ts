import type { Constants } from "../gpu/preprocess.ts";

/**
 * Constants of elementwise and row kernels over tensors with rows of `length` numbers: a `Vector` is four of them if
 * that divides evenly, which costs a software adapter about a third per number, else one.
 */
export function vectorsOf(length: number): { readonly constants: Constants; readonly width: 1 | 4 } {
  const width = length % 4 === 0 ? 4 : 1;
  return { constants: { WIDTH: width, IS_VECTOR: width === 4 }, width };
}

/** The constants of a kernel definition, before a length is known. */
export const SCALAR: Constants = vectorsOf(1).constants;
