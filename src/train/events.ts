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
  readonly steps: number;
  /**
   * Mean of the last logging_steps steps. NaN, as eval_loss and tokens_per_second, if the run was stopped before its
   * first.
   */
  readonly train_loss: number;
  readonly tokens_per_second: number;
  readonly planned_bytes: BytesByRole;
  readonly allocated_bytes: BytesByRole;
  /** Updates left out because a gradient was not finite. */
  readonly skipped_steps: number;
  readonly parameters: number;
  readonly trainable_parameters: number;
  readonly adapter: string;
}

/** A way to pause or end a run, checked between steps. */
export interface Control {
  /** True ends the run after the current step. */
  stopped(): boolean;
  /** Resolves when the run may go on. */
  unpaused(): Promise<void>;
}

export type Listener = (event: TrainEvent) => void | Promise<void>;

/** The loss became NaN or infinite, or gradients did for many steps. */
export class NonFiniteLossError extends Error {
  override readonly name = "NonFiniteLossError";
}
