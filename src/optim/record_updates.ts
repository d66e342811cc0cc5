import type { Recorder, Variable } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import type { Optimizer } from "./optimizer.ts";
import { gradientNorm } from "./step/clip.ts";

/** The numbers of a step that updates read. */
export interface UpdateOptions {
  /** `scheduleTensor`, whose learning rate the host writes before each step. */
  readonly schedule: Tensor;
  /** Largest norm of all gradients together; 0 measures it without clipping. */
  readonly max_grad_norm: number;
}

/**
 * Records the end of a training step: the norm of all gradients, clipping, and the optimizer's updates.
 * @param stepKind the program that is recorded, one of `optimizer.stepKinds`.
 * @param gradients by parameter; the updates may overwrite them.
 * @returns (3) the norm, its clipping factor and a flag, as `recordMetrics` reads them.
 */
export function recordUpdates(
  r: Recorder,
  optimizer: Optimizer,
  stepKind: string,
  gradients: ReadonlyMap<Variable, Tensor>,
  { schedule, max_grad_norm }: UpdateOptions,
): Tensor {
  const all = [...gradients.values()], norm = gradientNorm(r, all.map(size), true);
  norm.add(all);
  const clip = norm.finish(max_grad_norm);
  for (const [parameter, gradient] of gradients) optimizer.record(r, stepKind, parameter, gradient, { schedule, clip });
  return clip;
}
