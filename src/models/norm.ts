import { type Parameter, parameter } from "./parameter.ts";

/** The two vectors of a layer norm, (C) each. */
export interface LayerNorm {
  /** Multiplies the normalized values, (C). */
  readonly weight: Parameter;
  /** Is added after it, (C). */
  readonly bias: Parameter;
}

/** Makes the parameters of a LayerNorm over C values: ones and zeros. */
export const norm = (name: string, C: number): LayerNorm => ({
  weight: parameter(`${name}.weight`, [C], "ones"),
  bias: parameter(`${name}.bias`, [C], "zeros"),
});
