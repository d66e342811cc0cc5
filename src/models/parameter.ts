import { fillNormal } from "../gpu/philox.ts";
import type { Variable } from "../plan/recorder.ts";
import { size, tensor } from "../plan/tensor.ts";

/** A weight of a model, under its Hugging Face name (`value.label`). */
export interface Parameter extends Variable {
  /** Standard deviation of its normal initial values, or "ones". */
  readonly initial: number | "ones";
}

export function parameter(name: string, shape: readonly number[], initial: number | "ones"): Parameter {
  return { value: tensor(name, shape, "trainable"), needsGradient: true, initial };
}

/** Initial values, a pure function of (seed, name): adding a layer does not change the others. */
export function initialValues({ value, initial }: Parameter, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size(value));
  if (initial === "ones") values.fill(1);
  else fillNormal(values, initial, seed, `init ${value.label}`);
  return values;
}

/** Numbers in all parameters together. */
export const countParameters = (parameters: readonly Parameter[]): number => parameters.reduce((sum, { value }) => sum + size(value), 0);
