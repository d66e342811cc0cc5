import adamCode from "../../../shaders/rules/adam.wgsl" with { type: "text" };
import adamHfCode from "../../../shaders/rules/adam_hf.wgsl" with { type: "text" };
import lionCode from "../../../shaders/rules/lion.wgsl" with { type: "text" };
import sgdCode from "../../../shaders/rules/sgd.wgsl" with { type: "text" };

/** The settings of a run that rules read; Hugging Face's names. */
export interface RuleSettings {
  /** The decay of the mean of gradients. */
  readonly adam_beta1: number;
  /** The decay of the mean of their squares. */
  readonly adam_beta2: number;
  /** Epsilon; null: the rule's own. */
  readonly adam_epsilon: number | null;
  /** The share of the last update that is kept, in SGD. */
  readonly momentum: number;
}

/** The numbers that the shader of a rule calls beta1, beta2 and eps. */
export interface RuleNumbers {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
}

/** A state-full update rule: an element's direction from its gradient and the memory of earlier ones. */
export interface StateFullRule {
  /** A function `rule_step`, see shaders/lib/moments.wgsl. */
  readonly code: string;
  /** The tensors it keeps. Only the second may be of numbers that are never negative. */
  readonly state: readonly ["m"] | readonly ["m", "v"] | readonly ["momentum"];
  readonly numbers: (settings: RuleSettings) => RuleNumbers;
  /** Factor of the learning rate at a step with these bias corrections. */
  readonly stepFactor: (bias_correction1: number, bias_correction2: number) => number;
}

const adamNumbers = (ownEpsilon: number) => (s: RuleSettings): RuleNumbers => ({
  beta1: s.adam_beta1,
  beta2: s.adam_beta2,
  eps: s.adam_epsilon ?? ownEpsilon,
});
const unchanged = (): number => 1;

/** The name of a state-full rule. */
export type RuleName = "adam" | "adam_hf" | "lion" | "sgd";

/** Every state-full rule by its name in `active_update_rule`. A rule is a shader, a name above and a row here. */
export const RULES: Readonly<Record<RuleName, StateFullRule>> = {
  adam: { code: adamCode, state: ["m", "v"], numbers: adamNumbers(1e-8), stepFactor: unchanged },
  adam_hf: {
    code: adamHfCode,
    state: ["m", "v"],
    numbers: adamNumbers(1e-6),
    stepFactor: (c1, c2) => Math.sqrt(c2) / c1,
  },
  lion: { code: lionCode, state: ["m"], numbers: adamNumbers(0), stepFactor: unchanged },
  sgd: {
    code: sgdCode,
    state: ["momentum"],
    numbers: (s) => ({ beta1: s.momentum, beta2: 0, eps: 0 }),
    stepFactor: unchanged,
  },
};

/** The names of all state-full rules. */
export const RULE_NAMES = Object.keys(RULES) as [RuleName, ...RuleName[]];
