import type { GradientTarget } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";

export interface MatmulSize {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Elements to skip at the start of each tensor: for working on a range of rows. */
  readonly a_offset?: number;
  readonly b_offset?: number;
  readonly out_offset?: number;
}

/**
 * NT: (M, K) (N, K)ᵀ, a linear layer's forward · NN: (M, K) (K, N), its input gradient · TN: (K, M)ᵀ (K, N), its weight
 * gradient.
 */
export type MatmulMode = "NT" | "NN" | "TN";

export interface MatmulOperands {
  readonly a: Tensor;
  /** A weight in any format for NT and NN, else f32. */
  readonly b: Tensor;
  readonly target: GradientTarget;
  readonly addend?: Tensor | undefined;
}
