import type { Variable } from "../plan/recorder.ts";
import { adamw } from "./adamw.ts";
import type { UpdateRule } from "./rule.ts";
import { sgd } from "./sgd.ts";
import { signSgd } from "./sign_sgd.ts";

/** The settings that optimizers read. */
export interface OptimizerSettings {
  readonly weight_decay: number;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly optim_args: { readonly momentum: number; readonly nesterov: boolean };
}

interface Preset {
  /** Peak learning rate when the user gives none. */
  readonly learning_rate: number;
  readonly rule: (settings: OptimizerSettings) => UpdateRule;
}

/** Every optimizer by its name in `optim`. */
export const PRESETS = {
  adamw: { learning_rate: 3e-3, rule: adamw },
  sgd: { learning_rate: 3e-1, rule: (settings) => sgd({ ...settings.optim_args, weight_decay: settings.weight_decay }) },
  sign_sgd: { learning_rate: 3e-4, rule: signSgd },
} as const satisfies Record<string, Preset>;

export type OptimizerName = keyof typeof PRESETS;
export const OPTIMIZERS = Object.keys(PRESETS) as [OptimizerName, ...OptimizerName[]];

/** The rule of each parameter: weight decay on matrices only, not on norm weights. */
export function rulesOf(optim: OptimizerName, settings: OptimizerSettings): (parameter: Variable) => UpdateRule {
  const decayed = PRESETS[optim].rule(settings), plain = PRESETS[optim].rule({ ...settings, weight_decay: 0 });
  return ({ value }) => (value.shape.length >= 2 ? decayed : plain);
}
