import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { TrainableVariable } from "../plan/variable.ts";
import { dctTable, dctTableValues } from "./split/basis/dct.ts";
import { packStepInputs, stepInputsTensor } from "./step/step_inputs.ts";
import type { OptimizerSpec } from "./optimizer_spec.ts";
import { updateKindsOf } from "./param_groups.ts";
import { blockPool, layerPool, type Pool } from "./pool.ts";
import { RULES } from "./rule/rules.ts";
import { bitsFor, codesTensor, codeValues, stateTensors } from "./rule/state_full.ts";
import { packSelection, randomSubset } from "./split/subset.ts";
import type { Refresh } from "./split/subspace.ts";
import { Switching, type SwitchingState } from "./step/switching.ts";
import { recordUpdate, stateOf } from "./parameter_update.ts";
import { type OptimizerSettings, planUpdate, type UpdateState } from "./plan_update.ts";
import type { UpdateInputs } from "./rule/update.ts";

type Words = Uint32Array<ArrayBuffer>;

/** The program to run and the input values of one optimizer step. */
export interface OptimizerStep {
  /** One of `stepKinds`. */
  readonly stepKind: string;
  /** Words to be written before each step, by tensor. */
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
  readonly stepKinds: readonly string[];
  /** Tables to be written once. */
  readonly constants: ReadonlyMap<Tensor, Float32Array<ArrayBuffer>>;
  readonly #updates: ReadonlyMap<Variable, UpdateState>;
  readonly #spec: OptimizerSpec;
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
   * @throws RangeError if the spec's values do not go together, or do not fit a parameter.
   */
  constructor(parameters: readonly TrainableVariable[], spec: OptimizerSpec, settings: OptimizerSettings) {
    this.#spec = spec;
    this.#settings = settings;
    this.#switching = new Switching(spec, settings.max_steps);
    this.#codes = codesTensor();
    const tables = new Map<number, Tensor>();
    const cosines = (length: number): Tensor => {
      if (!tables.has(length)) tables.set(length, dctTable(length));
      return tables.get(length)!;
    };
    this.#updates = planUpdates(parameters, spec, settings, this.#switching.phases.length, cosines);
    const all = [...this.#updates.values()];
    this.#pool = all.find(({ pool }) => pool !== null)?.pool ?? undefined;
    this.constants = new Map([
      ...[...tables].map(([length, table]) => [table, dctTableValues(length)] as const),
      ...(all.some(({ update }) => update.bits === 8 && update.rule !== "none")
        ? [[this.#codes, codeValues()] as const]
        : []),
    ]);
    this.stepKinds = this.#stepKindNames(all);
  }

  #stepKindNames(all: readonly UpdateState[]): string[] {
    const sets = this.#layerSets();
    if (sets !== null) return Array.from({ length: sets }, (_, set) => `layers ${set}`);
    if (!all.some(({ update }) => update.subspace?.refreshes)) return ["train"];
    const { update_gap } = this.#spec, { max_steps } = this.#settings;
    const later = this.#switching.phases.flatMap((
      { last },
      phase,
    ) => (last + update_gap < max_steps ? [`refresh ${phase}`] : []));
    return ["train", "first", ...later];
  }

  /** Number of sets of layers with programs of their own: if nothing else is updated, nothing else needs a gradient. */
  #layerSets(): number | null {
    return this.#spec.inactive_update_rule === "no" ? this.#pool?.sets ?? null : null;
  }

  /** True if a program updates a parameter, which then needs a gradient in it. */
  trains(stepKind: string, variable: Variable): boolean {
    const { pool, variable: parameter } = this.#updates.get(variable)!;
    const set = /^layers (\d+)$/.exec(stepKind)?.[1];
    if (set === undefined || pool === null) return true;
    const members = this.#sets.get(Number(set)) ?? this.#membersOf(pool, Number(set));
    this.#sets.set(Number(set), members);
    return members.has(parameter);
  }

  #membersOf(pool: Pool, set: number): ReadonlyMap<TrainableVariable, number> {
    for (let index = 0; index < pool.sets!; index++) {
      if (pool.setAt(index) === set) return pool.offsets(index, this.#spec.density);
    }
    throw new Error(`No switch leads to layers ${set}`);
  }

  /** Records the update of one parameter into a program. It may overwrite the gradient. */
  record(r: Recorder, stepKind: string, variable: Variable, gradient: Tensor, inputs: UpdateInputs): void {
    const { update, phase } = this.#updates.get(variable)!;
    const refresh: Refresh = phase === null
      ? "none"
      : stepKind === "first"
      ? "cold"
      : stepKind === `refresh ${phase}`
      ? "warm"
      : "none";
    recordUpdate(r, update, gradient, inputs, this.#codes, refresh);
  }

  /** Every state tensor, by parameter. Those of a pool are listed for each of its parameters. */
  get state(): ReadonlyMap<Variable, readonly Tensor[]> {
    return new Map([...this.#updates].map(([variable, { update }]) => [variable, stateOf(update)]));
  }

  /** The program and the input values of step number `step`, from 0. Call it once for each step, in order. */
  at(step: number): OptimizerStep {
    const switched = new Set(this.#switching.advance(step));
    const inputs = new Map<Tensor, Words>();
    // The offsets of a pool take a draw and a sum over all its parameters: once a step, not once for each of them.
    const [first] = this.#switching.phases,
      placed = this.#pool?.offsets(first!.index, this.#switching.densityAt(first!.drawn));
    for (const one of this.#updates.values()) {
      if (!inputs.has(one.update.step_inputs)) {
        inputs.set(one.update.step_inputs, this.#stepInputsOf(one, step, placed));
      }
      if (one.selected && one.phase !== null && (switched.has(one.phase) || this.#stale)) {
        inputs.set(one.selected.subspace.selection!, this.#select(one, one.selected));
      }
    }
    this.#stale = false;
    return { stepKind: this.#stepKindAt(step, switched), inputs };
  }

  #stepKindAt(step: number, switched: ReadonlySet<number>): string {
    if (this.stepKinds[0] !== "train") return `layers ${this.#pool!.setAt(this.#switching.phases[0]!.index)}`;
    if (this.stepKinds.length === 1 || switched.size === 0) return "train";
    // Groups have different offsets and the same gap: no two are due at once.
    return step === this.#switching.begun ? "first" : `refresh ${[...switched][0]!}`;
  }

  #stepInputsOf(
    { variable, update, phase, pool, countAt }: UpdateState,
    step: number,
    placed: ReadonlyMap<TrainableVariable, number> | undefined,
  ): Words {
    const { adam_beta1, adam_beta2 } = this.#settings, spec = this.#spec;
    const own = this.#switching.phases[phase ?? 0]!;
    const resets = phase !== null ? spec.switch_moments === "reset" || pool !== null : spec.badam_switch;
    const begun = Math.max(resets ? own.drawn : 0, this.#switching.restarted), t = step - begun + 1;
    const bias_correction1 = 1 - adam_beta1 ** t, bias_correction2 = 1 - adam_beta2 ** t;
    const density = this.#switching.densityAt(own.drawn);
    const first = pool ? placed?.get(variable) : undefined;
    return packStepInputs({
      bias_correction1,
      bias_correction2,
      step_factor: update.rule === "none" ? 1 : RULES[update.rule].stepFactor(bias_correction1, bias_correction2),
      restart: step === begun,
      first: first ?? 0,
      count: pool && first === undefined ? 0 : countAt(density),
      drawn: own.drawn,
      step,
    });
  }

  #select({ update, phase, countAt }: UpdateState, { total }: NonNullable<UpdateState["selected"]>): Words {
    const { drawn } = this.#switching.phases[phase!]!;
    const chosen = randomSubset(
      total,
      countAt(this.#switching.densityAt(drawn)),
      this.#settings.seed,
      `select ${update.parameter.label}`,
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

  /** Continues as a checkpoint says. */
  restore(state: SwitchingState): void {
    this.#switching.restore(state);
    this.#stale = true;
  }
}

/** Decides for every parameter how it is updated. */
function planUpdates(
  parameters: readonly TrainableVariable[],
  spec: OptimizerSpec,
  settings: OptimizerSettings,
  phases: number,
  cosines: (length: number) => Tensor,
): ReadonlyMap<Variable, UpdateState> {
  const updateKinds = updateKindsOf(parameters, spec, settings);
  const targets = parameters.filter((parameter) => updateKinds.get(parameter) === "target");
  const pool = targets.length === 0
    ? null
    : spec.split === "blocks"
    ? blockPool(targets, spec, settings.seed)
    : spec.split === "layers"
    ? layerPool(targets, spec, settings.seed)
    : null;
  const bits = pool ? bitsFor(spec.optim_bits, pool.elements) : 32;
  const poolState = pool && pool.elements > 0 && spec.active_update_rule !== "none"
    ? stateTensors("pool", spec.active_update_rule, bits, [pool.elements])
    : [];
  const allStepInputs = new Map<string, Tensor>();
  const stepInputsOf = (key: string): Tensor => {
    if (!allStepInputs.has(key)) allStepInputs.set(key, stepInputsTensor(`step inputs ${key}`));
    return allStepInputs.get(key)!;
  };
  return new Map(parameters.map((parameter): [Variable, UpdateState] => {
    const updateKind = updateKinds.get(parameter)!,
      phase = updateKind === "target" ? Math.floor((targets.indexOf(parameter) * phases) / targets.length) : null;
    const own = updateKind === "target" && pool && pool.elements > 0 ? { pool, bits, state: poolState } : null;
    return [parameter, planUpdate(parameter, updateKind, phase, own, spec, settings, { stepInputsOf, cosines })];
  }));
}
