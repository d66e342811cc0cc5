import type { OptimizerSpec } from "../optimizer_spec.ts";

/** The subspaces of one group of parameters: all of them change at the same steps. */
export interface Phase {
  /** Step, from 0, of the last change; before the first one, when it counts as due. */
  last: number;
  /** Step of the last change that was one. */
  drawn: number;
  /** Changes so far, less one: the number of the present subspace. */
  index: number;
}

/** State that a run needs to go on: everything else is a function of the step. */
export interface SwitchingState {
  /** The place of each group of parameters between two switches. */
  readonly phases: readonly Phase[];
  /** Step at which the first subspaces are drawn. */
  readonly begun: number;
  /** Step of the last restart of all moments. */
  readonly restarted: number;
  /** Steps between two switches. */
  readonly update_gap: number;
  /** The last `eval_loss` that the gap looked at, or null. */
  readonly evaluation: number | null;
}

/** A longer gap is tried if the validation loss has fallen by less than this share (AdaFRUGAL, arXiv 2601.11568). */
const STILL_FALLING = 0.005, GAP_GROWTH = 1.5;

/**
 * Decides at which steps subspaces change: the first one, then every `update_gap` steps; the groups of a staggered
 * switch one after another. With BAdam's counting the first period is a step short. The gap may grow with the
 * validation loss.
 */
export class Switching {
  readonly #spec: OptimizerSpec;
  readonly #max_steps: number;
  #phases!: Phase[];
  #gap!: number;
  #evaluation!: number | null;
  #begun!: number;
  #restarted!: number;

  constructor(spec: OptimizerSpec, max_steps: number) {
    this.#spec = spec;
    this.#max_steps = max_steps;
    this.beginAt(0);
  }

  /** Restarts everything at a step that is still to come, moments and subspaces, as at step 0. */
  beginAt(step: number): void {
    const { update_gap, stagger, badam_switch } = this.#spec, groups = Math.min(stagger, update_gap);
    this.#gap = update_gap;
    this.#evaluation = null;
    this.#begun = this.#restarted = step;
    this.#phases = Array.from({ length: groups }, (_, group) => {
      const offset = Math.floor((group * update_gap) / groups);
      return { last: step + offset - (offset > 0 ? update_gap : badam_switch ? 1 : 0), drawn: step, index: -1 };
    });
  }

  get phases(): readonly Readonly<Phase>[] {
    return this.#phases;
  }

  get begun(): number {
    return this.#begun;
  }

  get restarted(): number {
    return this.#restarted;
  }

  /** Restarts all moments at a step that is still to come; subspaces go on. */
  restartAt(step: number): void {
    this.#restarted = step;
  }

  /** Moves on to the next step, in order, and returns the phases that change at it. */
  advance(step: number): number[] {
    return [...this.#phases.keys()].filter((number) => {
      const phase = this.#phases[number]!;
      const isFirst = step === this.#begun, due = step - phase.last >= this.#gap && !isFirst;
      if (!isFirst && !due) return false;
      if (due) phase.last = step;
      phase.drawn = step;
      phase.index++;
      return true;
    });
  }

  /** Density of a subspace drawn at a step. */
  densityAt(step: number): number {
    const { density, density_end } = this.#spec;
    if (density_end === null) return density;
    return density + (density_end - density) * Math.min(1, step / Math.max(1, this.#max_steps));
  }

  /** Reports a validation loss, which may lengthen the gap. */
  evaluated(loss: number): void {
    const { update_gap_max } = this.#spec, before = this.#evaluation;
    this.#evaluation = loss;
    if (update_gap_max === null || before === null) return;
    if ((before - loss) / before < STILL_FALLING) {
      this.#gap = Math.min(update_gap_max, Math.ceil(this.#gap * GAP_GROWTH));
    }
  }

  save(): SwitchingState {
    return {
      phases: this.#phases.map((phase) => ({ ...phase })),
      begun: this.#begun,
      restarted: this.#restarted,
      update_gap: this.#gap,
      evaluation: this.#evaluation,
    };
  }

  restore(state: SwitchingState): void {
    this.#phases = state.phases.map((phase) => ({ ...phase }));
    this.#begun = state.begun;
    this.#restarted = state.restarted;
    this.#gap = state.update_gap;
    this.#evaluation = state.evaluation;
  }
}
