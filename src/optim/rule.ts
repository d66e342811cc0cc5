import type { Recorder, Variable } from "../plan/recorder.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";

/** What every update reads beside its own gradient. */
export interface UpdateInputs {
  /** (5) The step's numbers: see schedule.ts. */
  readonly schedule: Tensor;
  /** (3) What clipping decided: see clip.ts. */
  readonly clip: Tensor;
}

/** How one parameter is updated from its gradient. */
export interface UpdateRule {
  /** Names of the state tensors it keeps, each of the parameter's shape. */
  readonly state: readonly string[];
  record(r: Recorder, parameter: Variable, gradient: Tensor, state: readonly Tensor[], inputs: UpdateInputs): void;
}

/** State tensors of a parameter under a rule, in the rule's order. */
export function stateOf(rule: UpdateRule, parameter: Variable): Tensor[] {
  return rule.state.map((name) => tensor(`${parameter.value.label}.${name}`, parameter.value.shape, "state"));
}
