import type { ModelBatch } from "../data/batch.ts";
import type { StreamPosition } from "../data/stream.ts";
import type { Model } from "../models/architecture.ts";
import type { LearningRateSchedule } from "../optim/step/schedule.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import type { Programs } from "./programs.ts";
import type { Session } from "./session.ts";
import type { StepHook } from "./step_hook.ts";

/** The data of a training run. */
export interface TrainingData<B extends ModelBatch = ModelBatch> {
  /** The micro-batches of a step: a function of (seed, step) alone. */
  batches(step: number): Promise<readonly B[]> | readonly B[];
  /** Batches that are never trained on. */
  validation(): AsyncIterable<B> | Iterable<B>;
  /** Position in a stream of rows, for a checkpoint; null for data that are a function of the step alone. */
  position(): StreamPosition | null;
  /** Takes up the position of a checkpoint, so that rows before it need not be read again. */
  resume(position: StreamPosition): void;
  /** Closes files. A later call of `batches` opens them again. */
  close(): Promise<void>;
}

/** The rhythm of a training run. All counts are in steps. */
export interface LoopSettings {
  /** Seed of initial weights. */
  readonly seed: number;
  /** Optimizer steps of the whole run. */
  readonly max_steps: number;
  /** Steps between two read-backs of the loss, at most. */
  readonly logging_steps: number;
  /** Steps between two evaluations. */
  readonly eval_steps: number;
  /** Steps between two samples of text. */
  readonly sample_steps: number;
  /** 0: no checkpoints. */
  readonly save_steps: number;
  /** Tokens of a step, for the speed. */
  readonly tokens_per_step: number;
}

/** Everything that the training loop needs, decided and planned. Nothing is allocated yet. */
export interface TrainingJob {
  /** The model that is trained. */
  readonly model: Model;
  /** The programs that it runs. */
  readonly programs: Programs;
  /** The place of each tensor. */
  readonly plan: MemoryPlan;
  /** Its training and validation examples. */
  readonly data: TrainingData;
  /** When it evaluates, samples, logs and ends. */
  readonly settings: LoopSettings;
  /** The learning rate as a function of the step. */
  readonly schedule: LearningRateSchedule;
  /** Work between steps. */
  readonly hooks: readonly StepHook[];
  /** Writes a text with the model as it is; absent for a model that writes none. */
  readonly sample?: ((session: Session) => Promise<string>) | undefined;
}
