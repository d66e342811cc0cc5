import type { GradientTarget } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";

/** The sizes of a matrix product (M, K) × (K, N), and where its operands begin. */
export interface MatmulSize {
  /** Rows of the result. */
  readonly M: number;
  /** Columns of the result. */
  readonly N: number;
  /** Length of each dot product. */
  readonly K: number;
  /** Elements to skip at the start of each tensor: for working on a range of rows. */
  readonly a_offset?: number;
  /** The first element of b in its tensor. */
  readonly b_offset?: number;
  /** The first element of the result in its tensor. */
  readonly out_offset?: number;
}

/**
 * NT: (M, K) (N, K)ᵀ, a linear layer's forward · NN: (M, K) (K, N), its input gradient · TN: (K, M)ᵀ (K, N), its weight
 * gradient.
 */
export type MatmulMode = "NT" | "NN" | "TN";

/** The tensors of a matrix product. */
export interface MatmulOperands {
  /** The left matrix. */
  readonly a: Tensor;
  /** A weight in any format for NT and NN, else f32. */
  readonly b: Tensor;
  /** The result, and if it adds to what is there. */
  readonly target: GradientTarget;
  /** Added to the product. */
  readonly addend?: Tensor | undefined;
}
