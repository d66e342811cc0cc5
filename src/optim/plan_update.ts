import { size, type Tensor } from "../plan/tensor.ts";
import type { TrainableVariable } from "../plan/variable.ts";
import { roundHalfEven } from "./split/blocks.ts";
import { DEFAULT_SPEC, type OptimizerSpec } from "./optimizer_spec.ts";
import { lowRankSubspace, projectedLength } from "./split/low_rank.ts";
import type { ModulePatterns, UpdateKind } from "./param_groups.ts";
import type { Pool } from "./pool.ts";
import { selectable, type SelectedSubspace, selectedSubspace } from "./split/selected_subspace.ts";
import type { SelectionKind } from "./split/selection.ts";
import type { RuleSettings } from "./rule/rules.ts";
import { bitsFor, stateTensors } from "./rule/state_full.ts";
import type { Subspace } from "./split/subspace.ts";
import { limiterTensor, type ParameterUpdate } from "./parameter_update.ts";

/** Settings of an optimizer besides its spec. */
export interface OptimizerSettings extends RuleSettings, ModulePatterns {
  /** Weight decay of matrices; vectors have none. */
  readonly weight_decay: number;
  /** The start of all random numbers. */
  readonly seed: number;
  /** Optimizer steps of the whole run. */
  readonly max_steps: number;
}

/** The update of a parameter, with the facts from which the host makes its inputs for each step. */
export interface UpdateState {
  readonly variable: TrainableVariable;
  readonly update: ParameterUpdate;
  /** Group of a staggered switch; null: the subspace never changes. */
  readonly phase: number | null;
  /** The pool that the parameter's state is part of. */
  readonly pool: Pool | null;
  /** Value of step_inputs.count at a density. */
  readonly countAt: (density: number) => number;
  /** The subspace whose rows or columns the host selects, and the number to select from. */
  readonly selected: { readonly subspace: SelectedSubspace; readonly total: number } | null;
}

/** Tensors that parameters share. */
interface Shared {
  stepInputsOf(key: string): Tensor;
  cosines(length: number): Tensor;
}

interface Pooled {
  readonly pool: Pool;
  readonly bits: 32 | 8;
  readonly state: readonly Tensor[];
}

/** True if the state-free rule needs no state-full part beside it. */
const hasOwnScale = ({ inactive_update_rule: rule }: OptimizerSpec): boolean => rule !== "fira" && rule !== "apollo";

/**
 * Makes a point of the grid concrete for one parameter.
 * @throws RangeError if it does not fit the parameter's shape.
 */
export function planUpdate(
  variable: TrainableVariable,
  updateKind: UpdateKind,
  phase: number | null,
  pooled: Pooled | null,
  given: OptimizerSpec,
  settings: OptimizerSettings,
  shared: Shared,
): UpdateState {
  const parameter = variable.value;
  const spec = updateKind === "target" ? given : specForOtherParameters(given, updateKind);
  const plan = pooled ? fullState(spec) : stateFor(parameter, spec, settings, shared);
  const { subspace, selectionKind, countAt, hasState } = plan;
  const rule = hasState && spec.active_update_rule !== "none" ? spec.active_update_rule : "none";
  const shape = subspace?.shape ?? parameter.shape;
  const bits = pooled?.bits ?? bitsFor(spec.optim_bits, shape.reduce((a, b) => a * b, 1));
  const count = pooled ? () => size(parameter) : countAt, switches = pooled || subspace ? phase : null;
  const update: ParameterUpdate = {
    parameter,
    spec,
    rule,
    subspace,
    selectionKind,
    activeSubsetOnly: pooled !== null,
    state: rule === "none" ? [] : pooled?.state ?? stateTensors(parameter.label, rule, bits, shape),
    bits: rule === "none" ? 32 : bits,
    limiter: subspace && !hasOwnScale(spec) ? limiterTensor(parameter.label) : undefined,
    step_inputs: shared.stepInputsOf(stepInputsKey(updateKind, switches, pooled !== null, rule, parameter, count(1))),
    weight_decay: parameter.shape.length >= 2 ? settings.weight_decay : 0,
    lr_scale: updateKind === "state_full" ? 1 : given.proj_params_lr_scale,
    settings: { ...settings, momentum: spec.momentum },
    seed: settings.seed,
  };
  return { variable, update, phase: switches, pool: pooled?.pool ?? null, countAt: count, selected: plan.selected };
}

/**
 * Key of a parameter's step inputs: parameters whose inputs always agree share them. `count` is that of density 1,
 * because two that agree on some density may differ on another.
 */
function stepInputsKey(
  updateKind: UpdateKind,
  phase: number | null,
  isPooled: boolean,
  rule: string,
  { label }: Tensor,
  count: number,
): string {
  return isPooled ? label : `${updateKind} ${phase ?? ""} ${rule} ${count}`;
}

/** Optimizer spec for non-target parameters (norms, embeddings, head). */
function specForOtherParameters(spec: OptimizerSpec, updateKind: UpdateKind): OptimizerSpec {
  const { optim_bits, decay, momentum, nesterov } = spec;
  const own = { ...DEFAULT_SPEC, optim_bits, decay, momentum, nesterov };
  const isFree = updateKind === "state_free" || spec.active_update_rule === "none";
  const inactive_update_rule = hasOwnScale(spec) && spec.inactive_update_rule !== "no"
    ? spec.inactive_update_rule
    : "sign_sgd";
  if (isFree) {
    return {
      ...own,
      split: "none",
      active_update_rule: "none",
      inactive_update_rule,
      inactive_lr_scale: spec.inactive_lr_scale,
    };
  }
  return { ...own, split: "all", active_update_rule: spec.active_update_rule };
}

interface StatePlan {
  readonly subspace: Subspace | null;
  readonly selectionKind: SelectionKind | null;
  readonly hasState: boolean;
  readonly countAt: (density: number) => number;
  readonly selected: UpdateState["selected"];
}

const fullState = (spec: OptimizerSpec): StatePlan => ({
  subspace: null,
  selectionKind: null,
  selected: null,
  hasState: spec.active_update_rule !== "none",
  countAt: () => 0,
});

/** The state-full part of one parameter. */
function stateFor(parameter: Tensor, spec: OptimizerSpec, settings: OptimizerSettings, { cosines }: Shared): StatePlan {
  const n = size(parameter), { split } = spec;
  if (split === "all" && spec.active_update_rule !== "none") return { ...fullState(spec), countAt: () => n };
  const nothing: StatePlan = { subspace: null, selectionKind: null, selected: null, hasState: false, countAt: () => 0 };
  if (split === "columns" || split === "rows" || split === "randk") {
    const densest = Math.max(spec.density, spec.density_end ?? 0);
    if (densest === 0) return requireOwnScale(parameter, spec, nothing);
    const shape = matrixShape(parameter, split), total = selectable(split, shape);
    // FRUGAL rounds down.
    const countAt = (density: number): number => Math.floor(total * density);
    if (countAt(densest) === 0) return requireOwnScale(parameter, spec, nothing);
    const subspace = selectedSubspace(split, parameter.label, shape, countAt(densest), settings.seed);
    return {
      subspace,
      selectionKind: split,
      selected: subspace.selection ? { subspace, total } : null,
      hasState: true,
      countAt,
    };
  }
  if (split !== "low_rank") return requireOwnScale(parameter, spec, nothing);
  if (spec.rank === 0 || (spec.rank === null && spec.density === 0)) return requireOwnScale(parameter, spec, nothing);
  const subspace = lowRankOf(parameter, spec, settings, cosines);
  const elements = subspace.shape.reduce((a, b) => a * b, 1);
  return { subspace, selectionKind: null, selected: null, hasState: true, countAt: () => elements };
}

/**
 * Returns `nothing`, the plan of a parameter without a state-full part.
 * @throws RangeError if the state-free rule takes its scale from a state-full part.
 */
function requireOwnScale({ label }: Tensor, spec: OptimizerSpec, nothing: StatePlan): StatePlan {
  if (hasOwnScale(spec)) return nothing;
  throw new RangeError(
    `Cannot use inactive_update_rule "${spec.inactive_update_rule}" on ${label}: it takes its scale from a ` +
      "state-full part, and this has none. Use a density above 0 or another rule",
  );
}

function matrixShape({ label, shape }: Tensor, split: string): readonly [number, number] {
  if (shape.length === 2) return [shape[0]!, shape[1]!];
  throw new RangeError(
    `Cannot split ${label} (${shape}) into ${
      split === "low_rank" ? "a low rank" : split
    }: expected a matrix. Leave norms out (proj_norms false), or use split "blocks"`,
  );
}

function lowRankOf(
  parameter: Tensor,
  spec: OptimizerSpec,
  settings: OptimizerSettings,
  cosines: (length: number) => Tensor,
): Subspace {
  const shape = matrixShape(parameter, spec.split), { proj_type, proj } = spec;
  const smaller = Math.min(...shape);
  const rank = spec.rank ??
    Math.min(smaller, Math.max(1, roundHalfEven(projectedLength(proj_type, shape) * spec.density)));
  if (rank > smaller) {
    throw new RangeError(
      `Cannot project ${parameter.label} (${shape}) to rank ${rank}: it has at most ${smaller}. Use a smaller rank`,
    );
  }
  const { adam_beta1: beta1, adam_beta2: beta2 } = settings;
  const rotate = spec.switch_moments === "rotate" ? { beta1, beta2 } : undefined;
  return lowRankSubspace(parameter.label, shape, { rank, proj, proj_type, seed: settings.seed, rotate, cosines });
}
