import { purposeKey } from "../random/philox.ts";
import type { Recorder } from "../plan/recorder.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";
import { recordApply } from "./rule/apply.ts";
import type { OptimizerSpec } from "./optimizer_spec.ts";
import { type RuleName, RULES, type RuleSettings } from "./rule/rules.ts";
import type { SelectionKind } from "./split/selection.ts";
import { normalizeResidual, scaleByNorms, signResidual } from "./rule/state_free.ts";
import { recordStateFull } from "./rule/state_full.ts";
import type { Refresh, Subspace } from "./split/subspace.ts";
import { recordFusedUpdate, type UpdateInputs } from "./rule/update.ts";
import { weightForm } from "./rule/weight.ts";

/** The update of one parameter: a point of the grid, made concrete for its shape. */
export interface ParameterUpdate {
  readonly parameter: Tensor;
  readonly spec: OptimizerSpec;
  readonly rule: RuleName | "none";
  /** Part of the matrix that is state-full; null: all of it, none of it, or see `activeSubsetOnly`. */
  readonly subspace: Subspace | null;
  readonly selectionKind: SelectionKind | null;
  /** `blocks`/`layers` only: the parameter has no state in steps where step_inputs.count is 0. */
  readonly activeSubsetOnly: boolean;
  /** Moments, of the subspace's shape, the parameter's, or shared by the parameters of a pool. */
  readonly state: readonly Tensor[];
  readonly bits: 32 | 8;
  /** (1) State of the norm-growth limiter. */
  readonly limiter: Tensor | undefined;
  readonly step_inputs: Tensor;
  readonly weight_decay: number;
  readonly lr_scale: number;
  readonly settings: RuleSettings;
  readonly seed: number;
}

/** State-free rules that look at an element alone, so that an update with them can be one pass. */
const ELEMENTWISE: ReadonlySet<string> = new Set(["no", "sign_sgd", "sgd"]);

/** Every state tensor that belongs to the parameter alone or to its pool. */
export const stateOf = (
  { state, subspace, limiter }: ParameterUpdate,
): readonly Tensor[] => [...state, ...(subspace?.state ?? []), ...(limiter ? [limiter] : [])];

export const limiterTensor = (label: string): Tensor => tensor(`${label}.limited_norm`, [1], "state");

/** Records the update of a parameter from its gradient, which it may overwrite. */
export function recordUpdate(
  r: Recorder,
  t: ParameterUpdate,
  gradient: Tensor,
  inputs: UpdateInputs,
  codes: Tensor,
  refresh: Refresh,
): void {
  const isSelected = t.subspace === null || t.selectionKind !== null;
  if (isSelected && t.bits === 32 && ELEMENTWISE.has(t.spec.inactive_update_rule)) {
    recordInOnePass(r, t, gradient, inputs, refresh);
  } else recordInSteps(r, t, gradient, inputs, codes, refresh);
}

const keyOf = ({ seed, parameter }: ParameterUpdate): readonly [number, number] =>
  purposeKey(seed, `round ${parameter.label}`);
const numbersOf = (
  t: ParameterUpdate,
) => (t.rule === "none" ? { beta1: 0, beta2: 0, eps: 0 } : RULES[t.rule].numbers(t.settings));

function recordInOnePass(
  r: Recorder,
  t: ParameterUpdate,
  gradient: Tensor,
  inputs: UpdateInputs,
  refresh: Refresh,
): void {
  const { parameter, spec, rule, step_inputs, activeSubsetOnly, weight_decay, lr_scale, selectionKind } = t;
  const prepared = t.subspace?.prepare(r, { step_inputs, gradient }, refresh, t.state);
  recordFusedUpdate(r, {
    ...inputs,
    step_inputs,
    gradient,
    parameter,
    state: t.state,
    ...(prepared?.selection ? { selection: prepared.selection } : {}),
  }, {
    form: {
      rule,
      nesterov: spec.nesterov,
      selection: selectionKind,
      activeSubsetOnly,
      free: spec.inactive_update_rule,
    },
    weight: weightForm(
      parameter,
      spec.decay,
      selectionKind === null || selectionKind === "randk" ? undefined : parameter.shape.at(-1)!,
    ),
    numbers: numbersOf(t),
    weight_decay,
    lr_scale,
    inactive_lr_scale: spec.inactive_lr_scale,
    scale: t.subspace ? spec.scale : 1,
    key: keyOf(t),
  });
}

/** Records an update in several passes. The gradient's buffer becomes the update: no second one is needed. */
function recordInSteps(
  r: Recorder,
  t: ParameterUpdate,
  gradient: Tensor,
  inputs: UpdateInputs,
  codes: Tensor,
  refresh: Refresh,
): void {
  const { schedule, clip } = inputs, { step_inputs, parameter, spec, weight_decay, lr_scale } = t;
  if (t.subspace) recordInSubspace(r, t, t.subspace, gradient, clip, codes, refresh);
  else {
    if (t.rule !== "none") {
      recordStateFull(r, { step_inputs, clip, x: gradient, state: t.state, codes }, {
        ...stateFullOptions(t),
        scale: 1,
        x_scale: 1,
        stride: 1,
      });
    }
    if (t.activeSubsetOnly || t.rule === "none") recordStateFree(r, t, gradient, clip, t.rule !== "none");
  }
  recordApply(r, { schedule, step_inputs, clip, delta: gradient, parameter }, weightForm(parameter, spec.decay), {
    weight_decay,
    lr_scale,
    key: keyOf(t),
  });
}

const stateFullOptions = (t: ParameterUpdate) => ({
  rule: t.rule as RuleName,
  nesterov: t.spec.nesterov,
  numbers: numbersOf(t),
  bits: t.bits,
});

function recordInSubspace(
  r: Recorder,
  t: ParameterUpdate,
  subspace: Subspace,
  gradient: Tensor,
  clip: Tensor,
  codes: Tensor,
  refresh: Refresh,
): void {
  const { step_inputs, spec } = t, { inactive_update_rule: free } = spec;
  const isApollo = free === "apollo", isScaled = isApollo || free === "fira", scale = isApollo ? 1 : spec.scale;
  // Fira subtracts its alpha times the part in the subspace, in its authors' code: the rest of that part is scaled with
  // the residual.
  const x_scale = free === "fira" ? scale : 1;
  const { down, up } = subspace.prepare(r, { step_inputs, gradient }, refresh, t.state);
  const x = down(), direction = r.tensor("direction", x.shape, "scratch");
  recordStateFull(r, { step_inputs, clip, x, direction, state: t.state, codes }, {
    ...stateFullOptions(t),
    scale,
    x_scale,
    stride: subspace.stride,
  });
  if (free === "no" || (subspace.complete && !isScaled)) return up(direction, false);
  if (!isApollo) up(x, true);
  if (isScaled) {
    const root = isApollo ? Math.sqrt(spec.scale) : 1;
    const [front, back] = spec.scale_front ? [root, 1] : [1, root];
    const { axis, counted } = subspace, single = axis === null || spec.scale_type === "tensor";
    const scaling = {
      axis,
      single,
      counted,
      scale,
      front,
      back: back * spec.inactive_lr_scale,
      limited: !spec.disable_nl,
    };
    scaleByNorms(r, { step_inputs, clip, residual: gradient, x, direction, previous: t.limiter! }, scaling);
  } else recordStateFree(r, t, gradient, clip, false);
  if (!isApollo) up(direction, true);
}

function recordStateFree(
  r: Recorder,
  { step_inputs, spec }: ParameterUpdate,
  residual: Tensor,
  clip: Tensor,
  activeSubsetOnly: boolean,
): void {
  const { inactive_update_rule: rule, inactive_lr_scale: factor } = spec, common = { step_inputs, clip, residual };
  if (rule === "row_normalized") normalizeResidual(r, common, "rows", factor, activeSubsetOnly);
  else if (rule === "column_normalized") normalizeResidual(r, common, "columns", factor, activeSubsetOnly);
  else signResidual(r, common, rule, factor, activeSubsetOnly);
}
