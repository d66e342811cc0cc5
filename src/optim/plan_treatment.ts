import { size, type Tensor } from "../plan/tensor.ts";
import type { TrainableVariable } from "../plan/variable.ts";
import { roundHalfEven } from "./split/blocks.ts";
import { GRID, type Grid } from "./grid.ts";
import { lowRankSubspace, projectedLength } from "./split/low_rank.ts";
import type { MemberPatterns, Role } from "./members.ts";
import type { Pool } from "./pool.ts";
import { selectable, type SelectedSubspace, selectedSubspace } from "./split/selected_subspace.ts";
import type { SelectionKind } from "./split/selection.ts";
import type { RuleSettings } from "./rule/rules.ts";
import { bitsFor, stateTensors } from "./rule/state_full.ts";
import type { Subspace } from "./split/subspace.ts";
import { limiterTensor, type Treatment } from "./treatment.ts";

/** Settings of an optimizer besides its grid. */
export interface OptimizerSettings extends RuleSettings, MemberPatterns {
  /** Weight decay of matrices; vectors have none. */
  readonly weight_decay: number;
  readonly seed: number;
  readonly max_steps: number;
}

/** The update of a parameter, with the facts from which the host makes its inputs for each step. */
export interface Managed {
  readonly variable: TrainableVariable;
  readonly treatment: Treatment;
  /** Group of a staggered switch; null: the subspace never changes. */
  readonly phase: number | null;
  /** The pool that the parameter's state is part of. */
  readonly pool: Pool | null;
  /** Value of clock.count at a density. */
  readonly countAt: (density: number) => number;
  /** The subspace whose rows or columns the host selects, and the number to select from. */
  readonly selected: { readonly subspace: SelectedSubspace; readonly total: number } | null;
}

/** Tensors that parameters share. */
interface Shared {
  clockOf(key: string): Tensor;
  cosines(length: number): Tensor;
}

interface Pooled {
  readonly pool: Pool;
  readonly bits: 32 | 8;
  readonly state: readonly Tensor[];
}

/** True if the state-free rule needs no state-full part beside it. */
const standsAlone = ({ inactive_update_rule: rule }: Grid): boolean => rule !== "fira" && rule !== "apollo";

/**
 * Makes a point of the grid concrete for one parameter.
 * @throws RangeError if it does not fit the parameter's shape.
 */
export function planTreatment(
  variable: TrainableVariable,
  role: Role,
  phase: number | null,
  pooled: Pooled | null,
  given: Grid,
  settings: OptimizerSettings,
  shared: Shared,
): Managed {
  const parameter = variable.value;
  const grid = role === "target" ? given : elsewhere(given, role);
  const plan = pooled ? wholeOf(grid) : partOf(parameter, grid, settings, shared);
  const { subspace, selectionKind, countAt, hasState } = plan;
  const rule = hasState && grid.active_update_rule !== "none" ? grid.active_update_rule : "none";
  const shape = subspace?.shape ?? parameter.shape;
  const bits = pooled?.bits ?? bitsFor(grid.optim_bits, shape.reduce((a, b) => a * b, 1));
  const count = pooled ? () => size(parameter) : countAt, switches = pooled || subspace ? phase : null;
  const treatment: Treatment = {
    parameter,
    grid,
    rule,
    subspace,
    selectionKind,
    partly: pooled !== null,
    state: rule === "none" ? [] : pooled?.state ?? stateTensors(parameter.label, rule, bits, shape),
    bits: rule === "none" ? 32 : bits,
    limiter: subspace && !standsAlone(grid) ? limiterTensor(parameter.label) : undefined,
    clock: shared.clockOf(clockKey(role, switches, pooled !== null, rule, parameter, count(1))),
    weight_decay: parameter.shape.length >= 2 ? settings.weight_decay : 0,
    lr_scale: role === "state_full" ? 1 : given.proj_params_lr_scale,
    settings: { ...settings, momentum: grid.momentum },
    seed: settings.seed,
  };
  return { variable, treatment, phase: switches, pool: pooled?.pool ?? null, countAt: count, selected: plan.selected };
}

/**
 * Names a parameter's clock: parameters whose clocks always agree share one. `count` is that of density 1, because two
 * that agree on some density may differ on another.
 */
function clockKey(
  role: Role,
  phase: number | null,
  isPooled: boolean,
  rule: string,
  { label }: Tensor,
  count: number,
): string {
  return isPooled ? label : `${role} ${phase ?? ""} ${rule} ${count}`;
}

/** Optimizer spec for non-target parameters (norms, embeddings, head). */
function elsewhere(grid: Grid, role: Role): Grid {
  const { optim_bits, decay, momentum, nesterov } = grid;
  const own = { ...GRID, optim_bits, decay, momentum, nesterov };
  const isFree = role === "state_free" || grid.active_update_rule === "none";
  const inactive_update_rule = standsAlone(grid) && grid.inactive_update_rule !== "no"
    ? grid.inactive_update_rule
    : "sign_sgd";
  if (isFree) {
    return {
      ...own,
      split: "none",
      active_update_rule: "none",
      inactive_update_rule,
      inactive_lr_scale: grid.inactive_lr_scale,
    };
  }
  return { ...own, split: "all", active_update_rule: grid.active_update_rule };
}

interface Part {
  readonly subspace: Subspace | null;
  readonly selectionKind: SelectionKind | null;
  readonly hasState: boolean;
  readonly countAt: (density: number) => number;
  readonly selected: Managed["selected"];
}

const wholeOf = (grid: Grid): Part => ({
  subspace: null,
  selectionKind: null,
  selected: null,
  hasState: grid.active_update_rule !== "none",
  countAt: () => 0,
});

/** The state-full part of one parameter. */
function partOf(parameter: Tensor, grid: Grid, settings: OptimizerSettings, { cosines }: Shared): Part {
  const n = size(parameter), { split } = grid;
  if (split === "all" && grid.active_update_rule !== "none") return { ...wholeOf(grid), countAt: () => n };
  const nothing: Part = { subspace: null, selectionKind: null, selected: null, hasState: false, countAt: () => 0 };
  if (split === "columns" || split === "rows" || split === "randk") {
    const densest = Math.max(grid.density, grid.density_end ?? 0);
    if (densest === 0) return freeOnly(parameter, grid, nothing);
    const shape = matrixShape(parameter, split), total = selectable(split, shape);
    // FRUGAL rounds down.
    const countAt = (density: number): number => Math.floor(total * density);
    if (countAt(densest) === 0) return freeOnly(parameter, grid, nothing);
    const subspace = selectedSubspace(split, parameter.label, shape, countAt(densest), settings.seed);
    return {
      subspace,
      selectionKind: split,
      selected: subspace.selection ? { subspace, total } : null,
      hasState: true,
      countAt,
    };
  }
  if (split !== "low_rank") return freeOnly(parameter, grid, nothing);
  if (grid.rank === 0 || (grid.rank === null && grid.density === 0)) return freeOnly(parameter, grid, nothing);
  const subspace = lowRankOf(parameter, grid, settings, cosines);
  const elements = subspace.shape.reduce((a, b) => a * b, 1);
  return { subspace, selectionKind: null, selected: null, hasState: true, countAt: () => elements };
}

/**
 * Returns `nothing`, the plan of a parameter without a state-full part.
 * @throws RangeError if the state-free rule takes its scale from a state-full part.
 */
function freeOnly({ label }: Tensor, grid: Grid, nothing: Part): Part {
  if (standsAlone(grid)) return nothing;
  throw new RangeError(
    `Cannot use inactive_update_rule "${grid.inactive_update_rule}" on ${label}: it takes its scale from a ` +
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
  grid: Grid,
  settings: OptimizerSettings,
  cosines: (length: number) => Tensor,
): Subspace {
  const shape = matrixShape(parameter, grid.split), { proj_type, proj } = grid;
  const smaller = Math.min(...shape);
  const rank = grid.rank ??
    Math.min(smaller, Math.max(1, roundHalfEven(projectedLength(proj_type, shape) * grid.density)));
  if (rank > smaller) {
    throw new RangeError(
      `Cannot project ${parameter.label} (${shape}) to rank ${rank}: it has at most ${smaller}. Use a smaller rank`,
    );
  }
  const { adam_beta1: beta1, adam_beta2: beta2 } = settings;
  const rotate = grid.switch_moments === "rotate" ? { beta1, beta2 } : undefined;
  return lowRankSubspace(parameter.label, shape, { rank, proj, proj_type, seed: settings.seed, rotate, cosines });
}
