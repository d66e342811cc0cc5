import type { BytesByRole } from "../plan/ledger.ts";
import type { StepCounts } from "./meter.ts";
import type { Evaluation } from "./session.ts";
import type { TrainingState } from "./trainer.ts";

/** The events of a run, in the order in which they happen. `step` counts from 1. */
export type TrainEvent =
  | { readonly type: "compiling"; readonly done: number; readonly total: number }
  | {
    readonly type: "step";
    readonly step: number;
    readonly loss: number;
    readonly grad_norm: number;
    readonly learning_rate: number;
    readonly tokens_per_second: number;
    readonly eta_seconds: number;
    readonly skipped: boolean;
  }
  | ({ readonly type: "evaluation"; readonly step: number } & Evaluation)
  | { readonly type: "sample"; readonly step: number; readonly text: string }
  | { readonly type: "checkpoint"; readonly step: number; readonly state: TrainingState }
  /** The device was lost and opened again; the run goes on after `step`. */
  | { readonly type: "recovered"; readonly step: number }
  | { readonly type: "end"; readonly summary: Summary };

/** The numbers of a finished run. */
export interface Summary extends StepCounts, Evaluation {
  /** Optimizer steps done. */
  readonly steps: number;
  /**
   * Mean of the last logging_steps steps. NaN, as eval_loss and tokens_per_second, if the run was stopped before its
   * first.
   */
  readonly train_loss: number;
  /** Training tokens a second since the run began or went on. */
  readonly tokens_per_second: number;
  /** Bytes that the plan gives each role. */
  readonly planned_bytes: BytesByRole;
  /** Bytes allocated for each role; planned_bytes, if all is well. */
  readonly allocated_bytes: BytesByRole;
  /** Updates left out because a gradient was not finite. */
  readonly skipped_steps: number;
  /** Number of values in the model. */
  readonly parameters: number;
  /** Number of values that are trained. */
  readonly trainable_parameters: number;
  /** The adapter's name. */
  readonly adapter: string;
}

/** A way to pause or end a run, checked between steps. */
export interface Control {
  /** True ends the run after the current step. */
  stopped(): boolean;
  /** Resolves when the run may go on. */
  unpaused(): Promise<void>;
}

/** A control that never pauses a run, and ends it after the current step once the signal is aborted. */
export const controlBy = (signal?: AbortSignal): Control => ({
  stopped: () => signal?.aborted ?? false,
  unpaused: () => Promise.resolve(),
});

/** Hears of what happens in a run. Training waits for its promise. */
export type Listener = (event: TrainEvent) => void | Promise<void>;

/** The loss became NaN or infinite, or gradients did for many steps. */
export class NonFiniteLossError extends Error {
  /** Tells this error from others across a Worker's border. */
  override readonly name = "NonFiniteLossError";
}
