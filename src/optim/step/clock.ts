import { type Tensor, tensor } from "../../plan/tensor.ts";

/** What a parameter's update reads beside the schedule, in the order of `struct Clock` in shaders/lib/clock.wgsl. */
export interface ClockNumbers {
  /** 1 - beta^t of the moments' own step t = 1, 2, … */
  readonly bias_correction1: number;
  readonly bias_correction2: number;
  /** What the rule multiplies the learning rate by. */
  readonly step_factor: number;
  /** Whether the moments begin anew: what they hold counts as 0. */
  readonly restart: boolean;
  /** Where the parameter's state starts in its tensor. */
  readonly first: number;
  /** Rows, columns or elements that are state-full. */
  readonly count: number;
  /** The step, from 0, at which the subspace was drawn. */
  readonly drawn: number;
  /** This step, from 0. */
  readonly step: number;
}

export const clockTensor = (label: string): Tensor => tensor(label, [8], "input", "u32");

export function packClock(
  { bias_correction1, bias_correction2, step_factor, restart, first, count, drawn, step }: ClockNumbers,
): Uint32Array<ArrayBuffer> {
  const words = Uint32Array.of(0, 0, 0, restart ? 1 : 0, first, count, drawn, step);
  new Float32Array(words.buffer).set([bias_correction1, bias_correction2, step_factor]);
  return words;
}
