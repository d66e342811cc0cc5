import type { Tensor } from "./tensor.ts";

/** A tensor that may have a gradient. It has none if nothing trainable lies below it. */
export interface Variable {
  /** The tensor with its values. */
  readonly value: Tensor;
  /** True if the backward pass must reach it. */
  readonly needsGradient: boolean;
}

/**
 * The part that a weight plays in its model: a matrix of a linear layer, a vector (norms and biases), a table that
 * tokens are looked up in, or the matrix that makes logits. An embedding that is tied to the logits is a head.
 */
export type ParameterKind = "linear" | "norm" | "embedding" | "head";

/** A variable that an optimizer can update. */
export interface TrainableVariable extends Variable {
  /** Its place in the model, which decides how it is updated. */
  readonly kind: ParameterKind;
  /** Index of the transformer layer that it belongs to, from 0; absent outside the layers. */
  readonly layer?: number;
}
