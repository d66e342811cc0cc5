import type { TrainableVariable } from "../plan/variable.ts";
import type { OptimizerSpec } from "./optimizer_spec.ts";
import { Optimizer } from "./optimizer.ts";
import type { OptimizerSettings } from "./plan_update.ts";
import { type OptimizerName, resolveOptimizer } from "./presets.ts";

/** Options of `createOptimizer`, with Hugging Face's names and defaults. */
export interface CreateOptimizerOptions extends Partial<Omit<OptimizerSettings, "momentum">> {
  /** Changes of the preset: density, rank, update_gap and the other keys of `optim_args`. */
  readonly optim_args?: Partial<OptimizerSpec>;
}

/**
 * The optimizer of a name for some parameters. Defaults: betas 0.9 and 0.999, the rule's own epsilon, no weight decay,
 * seed 0; `max_steps` is needed for `density_end` only.
 * @throws RangeError if values do not go together, or do not fit a parameter.
 */
export function createOptimizer(
  optim: OptimizerName,
  parameters: readonly TrainableVariable[],
  { optim_args = {}, ...settings }: CreateOptimizerOptions = {},
): Optimizer {
  const spec = resolveOptimizer(optim, optim_args);
  return new Optimizer(parameters, spec, {
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_epsilon: null,
    weight_decay: 0,
    seed: 0,
    max_steps: Infinity,
    optim_target_modules: null,
    state_free_modules: [],
    ...settings,
    momentum: spec.momentum,
  });
}
