import { type Tensor, tensor } from "../../plan/tensor.ts";

/** Per-parameter inputs of an update, laid out as `struct StepInputs` in shaders/lib/step_inputs.wgsl. */
export interface StepInputs {
  /** 1 - beta^t of the moments' own step t = 1, 2, … */
  readonly bias_correction1: number;
  readonly bias_correction2: number;
  /** The rule's factor of the learning rate. */
  readonly step_factor: number;
  /** True if the moments restart: their old values count as 0. */
  readonly restart: boolean;
  /** Start of the parameter's state in its tensor. */
  readonly first: number;
  /** Rows, columns or elements that are state-full. */
  readonly count: number;
  /** The step, from 0, at which the subspace was drawn. */
  readonly drawn: number;
  /** This step, from 0. */
  readonly step: number;
}

export const stepInputsTensor = (label: string): Tensor => tensor(label, [8], "input", "u32");

export function packStepInputs(
  { bias_correction1, bias_correction2, step_factor, restart, first, count, drawn, step }: StepInputs,
): Uint32Array<ArrayBuffer> {
  const words = Uint32Array.of(0, 0, 0, restart ? 1 : 0, first, count, drawn, step);
  new Float32Array(words.buffer).set([bias_correction1, bias_correction2, step_factor]);
  return words;
}
