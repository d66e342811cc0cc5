import { type Batch, sampleBatch, validationBatches } from "../data/text.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Guard, guardAgainstLoss } from "../gpu/loss.ts";
import { countParameters } from "../models/parameter.ts";
import { recoveringRate } from "../optim/step/recovery.ts";
import { learningRateAt } from "../optim/step/schedule.ts";
import { bytesByRole, type BytesByRole } from "../plan/ledger.ts";
import type { TrainingConfig } from "./config.ts";
import { Meter, type StepCounts, Stopwatch } from "./meter.ts";
import type { Run } from "./run.ts";
import { sampleText } from "./sample.ts";
import { Trainer, type TrainingState } from "./trainer.ts";

/** What a run tells its listener, in the order in which it happens. `step` counts from 1. */
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
  | { readonly type: "evaluation"; readonly step: number; readonly eval_loss: number }
  | { readonly type: "sample"; readonly step: number; readonly text: string }
  | { readonly type: "checkpoint"; readonly step: number; readonly state: TrainingState }
  | { readonly type: "end"; readonly summary: Summary };

export interface Summary extends StepCounts {
  readonly steps: number;
  /** Mean of the last logging_steps steps. NaN, as eval_loss and tokens_per_second, if the run was stopped before its first. */
  readonly train_loss: number;
  readonly eval_loss: number;
  readonly tokens_per_second: number;
  readonly planned_bytes: BytesByRole;
  readonly allocated_bytes: BytesByRole;
  /** Updates left out because a gradient was not finite. */
  readonly skipped_steps: number;
  readonly parameters: number;
  readonly adapter: string;
}

/** Lets a listener hold a run up or end it; checked between steps. */
export interface Control {
  /** True ends the run after the current step. */
  stopped(): boolean;
  /** Resolves when the run may go on. */
  unpaused(): Promise<void>;
}

/** The loss became NaN or infinite, or gradients did for many steps. */
export class NonFiniteLossError extends Error {
  override readonly name = "NonFiniteLossError";
}

/** A step whose gradient is not finite changes nothing. One may be bad luck; so many are a run that no longer trains. */
const MAX_SKIPPED_IN_A_ROW = 10;

/** The queue is never longer than this, so that a pause takes hold and a page stays alive. */
const MILLISECONDS_PER_SYNC = 500;

type Listener = (event: TrainEvent) => void | Promise<void>;

/**
 * Trains. `emit` hears of everything as it happens; the trainer, with its trained weights, is the caller's to destroy. `resumed` is what an
 * earlier run of the same settings has got to.
 * @throws NonFiniteLossError naming the step and the first tensor that went bad, DeviceLostError, OutOfMemoryError.
 */
export async function train(gpu: Gpu, run: Run, control: Control, emit: Listener, resumed?: TrainingState): Promise<Trainer> {
  const guard = guardAgainstLoss(gpu);
  const onPipeline = (done: number, total: number): void => void emit({ type: "compiling", done, total });
  const trainer = await guard(Trainer.create(gpu, run.model, run.programs, run.plan, run.config.seed, onPipeline));
  try {
    if (resumed) trainer.restore(resumed);
    await runSteps(gpu, guard, trainer, run, control, emit);
  } catch (error) {
    trainer.destroy();
    throw error;
  }
  return trainer;
}

async function runSteps(gpu: Gpu, guard: Guard, trainer: Trainer, run: Run, control: Control, emit: Listener): Promise<void> {
  const { config } = run;
  const tokensPerStep = config.gradient_accumulation_steps * config.per_device_train_batch_size * config.max_length;
  const clock = new Stopwatch();
  const meter = new Meter(trainer.executor.counters);
  const recent: number[] = [];
  let skipped_steps = 0, skippedInARow = 0, stepsPerSync = 1;

  while (trainer.steps < config.max_steps && !control.stopped()) {
    await control.unpaused();
    const step = trainer.steps;
    if (isRestart(config, step)) await guard(trainer.refactorise());
    clock.start();
    meter.measure(() => trainer.step(batchesOf(run, step), rateAt(run, step)));
    const done = step + 1, ended = done === config.max_steps, last = ended || control.stopped();
    // A run that is stopped here hears what it would have heard: it may be resumed.
    const evaluate = done % config.eval_steps === 0 && !ended, sample = done % config.sample_steps === 0 && !last;
    const save = config.save_steps > 0 && (done % config.save_steps === 0 || last);
    if (done % stepsPerSync !== 0 && done % config.logging_steps !== 0 && !evaluate && !sample && !save && !last) continue;

    const rows = await guard(trainer.readMetrics());
    clock.stop(rows.length);
    stepsPerSync = Math.max(1, Math.min(config.logging_steps, Math.floor(MILLISECONDS_PER_SYNC / clock.millisecondsPerStep)));
    for (const row of rows) {
      if (!Number.isFinite(row.loss)) throw await nonFinite(trainer, `The loss of step ${row.step + 1} is ${row.loss}`);
      recent.push(row.loss);
      skipped_steps += row.skipped ? 1 : 0;
      skippedInARow = row.skipped ? skippedInARow + 1 : 0;
      if (skippedInARow === MAX_SKIPPED_IN_A_ROW) throw await nonFinite(trainer, `The gradients of the last ${MAX_SKIPPED_IN_A_ROW} steps up to ${row.step + 1} were not finite`);
      const tokens_per_second = (1000 * tokensPerStep) / clock.millisecondsPerStep;
      const eta_seconds = ((config.max_steps - row.step - 1) * clock.millisecondsPerStep) / 1000;
      await emit({ type: "step", ...row, step: row.step + 1, learning_rate: rateAt(run, row.step), tokens_per_second, eta_seconds });
    }
    recent.splice(0, recent.length - config.logging_steps);
    if (evaluate) {
      const eval_loss = await guard(evaluateRun(trainer, run));
      trainer.evaluated(eval_loss);
      await emit({ type: "evaluation", step: done, eval_loss });
    }
    if (sample) await emit({ type: "sample", step: done, text: await guard(sampleRun(trainer, run)) });
    if (save) await emit({ type: "checkpoint", step: done, state: await guard(trainer.save()) });
  }

  let eval_loss = NaN;
  if (trainer.steps > 0) {
    eval_loss = await guard(evaluateRun(trainer, run));
    await emit({ type: "evaluation", step: trainer.steps, eval_loss });
    await emit({ type: "sample", step: trainer.steps, text: await guard(sampleRun(trainer, run)) });
  }
  const summary: Summary = {
    steps: trainer.steps,
    train_loss: recent.reduce((a, b) => a + b, 0) / recent.length,
    eval_loss,
    tokens_per_second: (1000 * tokensPerStep) / clock.millisecondsPerStep,
    planned_bytes: bytesByRole(run.plan.buffers),
    allocated_bytes: trainer.executor.allocatedBytes,
    ...meter.perStep(),
    skipped_steps,
    parameters: countParameters(run.model.parameters),
    adapter: gpu.adapter.name,
  };
  await emit({ type: "end", summary });
}

/** Whether factors are balanced and moments begin anew before a step. */
const isRestart = ({ refactor_steps: gap }: TrainingConfig, step: number): boolean => gap > 0 && step > 0 && step % gap === 0;

/** The learning rate of a step: the schedule's, but slowly back to it where moments began anew. */
function rateAt({ config: { refactor_steps: gap }, schedule }: Run, step: number): number {
  const restarted = gap > 0 && step >= gap ? step - (step % gap) : -Infinity;
  return recoveringRate(step, restarted, (at) => learningRateAt(at, schedule));
}

/** The micro-batches of a step: a function of (seed, step) alone, and the same rows however they are split. */
function batchesOf({ config, tokens }: Run, step: number): Batch[] {
  const { seed, gradient_accumulation_steps: count, per_device_train_batch_size: batch, max_length: length } = config;
  const { input_ids, labels } = sampleBatch(tokens.train, { seed, step, batch: count * batch, length });
  const part = (ids: Uint32Array<ArrayBuffer>, index: number) => ids.subarray(index * batch * length, (index + 1) * batch * length);
  return [...Array(count).keys()].map((index) => ({ input_ids: part(input_ids, index), labels: part(labels, index) }));
}

export async function evaluateRun(trainer: Trainer, { config, tokens }: Pick<Run, "config" | "tokens">): Promise<number> {
  const { per_device_train_batch_size: batch, max_length: length, eval_batches: limit } = config;
  return await trainer.evaluate([...validationBatches(tokens.validation, { batch, length, limit })]);
}

function sampleRun(trainer: Trainer, { config, tokenizer }: Run): Promise<string> {
  return sampleText(trainer, tokenizer, { ...config, max_new_tokens: config.sample_tokens });
}

async function nonFinite(trainer: Trainer, problem: string): Promise<NonFiniteLossError> {
  return new NonFiniteLossError(`${problem}; ${await trainer.diagnose()}. Use a smaller learning_rate, or set max_grad_norm`);
}
