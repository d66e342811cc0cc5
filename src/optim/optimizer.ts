import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { TrainableVariable } from "../plan/variable.ts";
import { dctTable, dctTableValues } from "./split/basis/dct.ts";
import { clockTensor, packClock } from "./step/clock.ts";
import type { Grid } from "./grid.ts";
import { rolesOf } from "./members.ts";
import { blockPool, layerPool, type Pool } from "./pool.ts";
import { RULES } from "./rule/rules.ts";
import { bitsFor, codesTensor, codeValues, stateTensors } from "./rule/state_full.ts";
import { packSelection, randomSubset } from "./split/subset.ts";
import type { Refresh } from "./split/subspace.ts";
import { Switching, type SwitchingState } from "./step/switching.ts";
import { recordTreatment, stateOf } from "./treatment.ts";
import { type Managed, type OptimizerSettings, planTreatment } from "./plan_treatment.ts";
import type { UpdateInputs } from "./rule/update.ts";

type Words = Uint32Array<ArrayBuffer>;

/** The program to run and the input values of one optimizer step. */
export interface OptimizerStep {
  /** One of `variants`. */
  readonly variant: string;
  readonly inputs: ReadonlyMap<Tensor, Uint32Array<ArrayBuffer>>;
}

/**
 * The optimizer of a model: one point of the grid, applied to every parameter. It records updates into training
 * programs and gives before each step the program to run and its numbers. Subspaces that change by kernels
 * (projections, masks) or by what has a gradient at all (BAdam's layers) take a program each; all programs share their
 * state, so a switch allocates nothing.
 */
export class Optimizer {
  /** Names of the training programs to record. The first has no refresh in it. */
  readonly variants: readonly string[];
  /** Tables to be written once. */
  readonly constants: ReadonlyMap<Tensor, Float32Array<ArrayBuffer>>;
  readonly #managed: ReadonlyMap<Variable, Managed>;
  readonly #grid: Grid;
  readonly #settings: OptimizerSettings;
  readonly #switching: Switching;
  readonly #codes: Tensor;
  /** Shared moments of the `blocks` and `layers` splits. */
  readonly #pool: Pool | undefined;
  /**
   * Cache of the parameters of each set of layers: it is read for every parameter of every program, and each takes a
   * permutation of the layers.
   */
  readonly #sets = new Map<number, ReadonlyMap<TrainableVariable, number>>();
  /** True if selections must be written again although nothing switches: at the first step of a resumed run. */
  #stale = false;

  /**
   * Plans the update of every parameter.
   * @throws RangeError if the grid's values do not go together, or do not fit a parameter.
   */
  constructor(parameters: readonly TrainableVariable[], grid: Grid, settings: OptimizerSettings) {
    this.#grid = grid;
    this.#settings = settings;
    this.#switching = new Switching(grid, settings.max_steps);
    this.#codes = codesTensor();
    const tables = new Map<number, Tensor>();
    const cosines = (length: number): Tensor => {
      if (!tables.has(length)) tables.set(length, dctTable(length));
      return tables.get(length)!;
    };
    this.#managed = manage(parameters, grid, settings, this.#switching.phases.length, cosines);
    const all = [...this.#managed.values()];
    this.#pool = all.find(({ pool }) => pool !== null)?.pool ?? undefined;
    this.constants = new Map([
      ...[...tables].map(([length, table]) => [table, dctTableValues(length)] as const),
      ...(all.some(({ treatment }) => treatment.bits === 8 && treatment.rule !== "none")
        ? [[this.#codes, codeValues()] as const]
        : []),
    ]);
    this.variants = this.#variantNames(all);
  }

  #variantNames(all: readonly Managed[]): string[] {
    const sets = this.#layerSets();
    if (sets !== null) return Array.from({ length: sets }, (_, set) => `layers ${set}`);
    if (!all.some(({ treatment }) => treatment.subspace?.refreshes)) return ["train"];
    const { update_gap } = this.#grid, { max_steps } = this.#settings;
    const later = this.#switching.phases.flatMap((
      { last },
      phase,
    ) => (last + update_gap < max_steps ? [`refresh ${phase}`] : []));
    return ["train", "first", ...later];
  }

  /** Number of sets of layers with programs of their own: if nothing else is updated, nothing else needs a gradient. */
  #layerSets(): number | null {
    return this.#grid.inactive_update_rule === "no" ? this.#pool?.sets ?? null : null;
  }

  /** True if a program updates a parameter, which then needs a gradient in it. */
  trains(variant: string, variable: Variable): boolean {
    const { pool, variable: parameter } = this.#managed.get(variable)!;
    const set = /^layers (\d+)$/.exec(variant)?.[1];
    if (set === undefined || pool === null) return true;
    const members = this.#sets.get(Number(set)) ?? this.#membersOf(pool, Number(set));
    this.#sets.set(Number(set), members);
    return members.has(parameter);
  }

  #membersOf(pool: Pool, set: number): ReadonlyMap<TrainableVariable, number> {
    for (let index = 0; index < pool.sets!; index++) {
      if (pool.setAt(index) === set) return pool.offsets(index, this.#grid.density);
    }
    throw new Error(`No switch leads to layers ${set}`);
  }

  /** Records the update of one parameter into a program. It may overwrite the gradient. */
  record(r: Recorder, variant: string, variable: Variable, gradient: Tensor, inputs: UpdateInputs): void {
    const { treatment, phase } = this.#managed.get(variable)!;
    const refresh: Refresh = phase === null
      ? "none"
      : variant === "first"
      ? "cold"
      : variant === `refresh ${phase}`
      ? "warm"
      : "none";
    recordTreatment(r, treatment, gradient, inputs, this.#codes, refresh);
  }

  /** Every state tensor, by parameter. Those of a pool are listed for each of its parameters. */
  get state(): ReadonlyMap<Variable, readonly Tensor[]> {
    return new Map([...this.#managed].map(([variable, { treatment }]) => [variable, stateOf(treatment)]));
  }

  /** The program and the input values of step number `step`, from 0. Call it once for each step, in order. */
  at(step: number): OptimizerStep {
    const switched = new Set(this.#switching.advance(step));
    const inputs = new Map<Tensor, Words>();
    // The offsets of a pool take a draw and a sum over all its parameters: once a step, not once for each of them.
    const [first] = this.#switching.phases,
      placed = this.#pool?.offsets(first!.index, this.#switching.densityAt(first!.drawn));
    for (const one of this.#managed.values()) {
      if (!inputs.has(one.treatment.clock)) inputs.set(one.treatment.clock, this.#clockOf(one, step, placed));
      if (one.selected && one.phase !== null && (switched.has(one.phase) || this.#stale)) {
        inputs.set(one.selected.subspace.selection!, this.#select(one, one.selected));
      }
    }
    this.#stale = false;
    return { variant: this.#variantAt(step, switched), inputs };
  }

  #variantAt(step: number, switched: ReadonlySet<number>): string {
    if (this.variants[0] !== "train") return `layers ${this.#pool!.setAt(this.#switching.phases[0]!.index)}`;
    if (this.variants.length === 1 || switched.size === 0) return "train";
    // Groups have different offsets and the same gap: no two are due at once.
    return step === this.#switching.begun ? "first" : `refresh ${[...switched][0]!}`;
  }

  #clockOf(
    { variable, treatment, phase, pool, countAt }: Managed,
    step: number,
    placed: ReadonlyMap<TrainableVariable, number> | undefined,
  ): Words {
    const { adam_beta1, adam_beta2 } = this.#settings, grid = this.#grid;
    const own = this.#switching.phases[phase ?? 0]!;
    const resets = phase !== null ? grid.switch_moments === "reset" || pool !== null : grid.badam_switch;
    const begun = Math.max(resets ? own.drawn : 0, this.#switching.restarted), t = step - begun + 1;
    const bias_correction1 = 1 - adam_beta1 ** t, bias_correction2 = 1 - adam_beta2 ** t;
    const density = this.#switching.densityAt(own.drawn);
    const first = pool ? placed?.get(variable) : undefined;
    return packClock({
      bias_correction1,
      bias_correction2,
      step_factor: treatment.rule === "none" ? 1 : RULES[treatment.rule].stepFactor(bias_correction1, bias_correction2),
      restart: step === begun,
      first: first ?? 0,
      count: pool && first === undefined ? 0 : countAt(density),
      drawn: own.drawn,
      step,
    });
  }

  #select({ treatment, phase, countAt }: Managed, { total }: NonNullable<Managed["selected"]>): Words {
    const { drawn } = this.#switching.phases[phase!]!;
    const chosen = randomSubset(
      total,
      countAt(this.#switching.densityAt(drawn)),
      this.#settings.seed,
      `select ${treatment.parameter.label}`,
      drawn,
    );
    return packSelection(chosen, total);
  }

  /**
   * Restarts all moments at a step that is still to come: after a change of the weights that makes them meaningless.
   */
  restartAt(step: number): void {
    this.#switching.restartAt(step);
  }

  /**
   * Restarts moments and subspaces at a step that is still to come, as at step 0: that step draws every subspace.
   */
  beginAt(step: number): void {
    this.#switching.beginAt(step);
  }

  /** Reports a validation loss, which may lengthen `update_gap` (AdaFRUGAL). */
  evaluated(loss: number): void {
    this.#switching.evaluated(loss);
  }

  /** The state that does not follow from the step alone, as JSON. */
  save(): SwitchingState {
    return this.#switching.save();
  }

  restore(state: SwitchingState): void {
    this.#switching.restore(state);
    this.#stale = true;
  }
}

/** Decides for every parameter how it is updated. */
function manage(
  parameters: readonly TrainableVariable[],
  grid: Grid,
  settings: OptimizerSettings,
  phases: number,
  cosines: (length: number) => Tensor,
): ReadonlyMap<Variable, Managed> {
  const roles = rolesOf(parameters, grid, settings);
  const targets = parameters.filter((parameter) => roles.get(parameter) === "target");
  const pool = targets.length === 0
    ? null
    : grid.split === "blocks"
    ? blockPool(targets, grid, settings.seed)
    : grid.split === "layers"
    ? layerPool(targets, grid, settings.seed)
    : null;
  const bits = pool ? bitsFor(grid.optim_bits, pool.elements) : 32;
  const poolState = pool && pool.elements > 0 && grid.active_update_rule !== "none"
    ? stateTensors("pool", grid.active_update_rule, bits, [pool.elements])
    : [];
  const clocks = new Map<string, Tensor>();
  const clockOf = (key: string): Tensor => {
    if (!clocks.has(key)) clocks.set(key, clockTensor(`clock ${key}`));
    return clocks.get(key)!;
  };
  return new Map(parameters.map((parameter): [Variable, Managed] => {
    const role = roles.get(parameter)!,
      phase = role === "target" ? Math.floor((targets.indexOf(parameter) * phases) / targets.length) : null;
    const own = role === "target" && pool && pool.elements > 0 ? { pool, bits, state: poolState } : null;
    return [parameter, planTreatment(parameter, role, phase, own, grid, settings, { clockOf, cosines })];
  }));
}
