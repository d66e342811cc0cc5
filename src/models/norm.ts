import { type Parameter, parameter } from "./parameter.ts";

/** The two vectors of a layer norm, (C) each. */
export interface LayerNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;
}

export const norm = (name: string, C: number): LayerNorm => ({
  weight: parameter(`${name}.weight`, [C], "ones"),
  bias: parameter(`${name}.bias`, [C], "zeros"),
});
