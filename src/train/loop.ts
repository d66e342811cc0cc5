import { type Gpu, openGpu } from "../gpu/device.ts";
import { type Guard, guardAgainstLoss } from "../gpu/device_loss.ts";
import { countParameters, trainedParameters } from "../models/parameter.ts";
import { recoveringRate } from "../optim/step/lr_recovery.ts";
import { learningRateAt } from "../optim/step/schedule.ts";
import { bytesByRole } from "../plan/ledger.ts";
import { type Control, controlBy, type Listener, NonFiniteLossError, type Summary } from "./events.ts";
import { Meter, Stopwatch } from "./meter.ts";
import { Progress, type Resumed } from "./progress.ts";
import { Recovery, type RecoveryOptions } from "./device_recovery.ts";
import type { TrainingJob } from "./job.ts";
import type { Evaluation, LoadWeights } from "./session.ts";
import { lastRestart, runAfter, runBefore } from "./step_hook.ts";
import { Trainer } from "./trainer.ts";

/**
 * A step whose gradient is not finite changes nothing. One may be bad luck; so many are a run that no longer trains.
 */
const MAX_SKIPPED_IN_A_ROW = 10;

/** The queue is never longer than this, so that a pause takes hold and a page stays alive. */
const MILLISECONDS_PER_SYNC = 500;

/** Options of `train`. */
export interface LoopOptions {
  /** State of an earlier run to go on from. */
  readonly resumed?: Resumed | undefined;
  /** Uploads the weights of a pretrained model, again after each loss of the device. */
  readonly load?: LoadWeights | undefined;
  /** Reads the results. A device that is lost meanwhile is opened again, and the last steps are repeated. */
  readonly finish?: ((trainer: Trainer) => Promise<void>) | undefined;
  /** The way back after a lost device; absent, the run ends. */
  readonly recovery?: RecoveryOptions;
}

/**
 * Trains a model and reports everything that happens to `emit`; without a `control` it runs to its end. The caller
 * destroys the returned trainer, which has the trained weights. A lost device is opened again, and the run goes on from
 * the last state that is held in memory, with the same losses.
 * @throws NonFiniteLossError naming the step and the first tensor that went bad, DeviceLostError at the third loss in
 * ten minutes, OutOfMemoryError.
 */
export async function train(
  gpu: Gpu,
  job: TrainingJob,
  control: Control = controlBy(),
  emit: Listener = () => {},
  { recovery = { reopen: openGpu }, ...options }: LoopOptions = {},
): Promise<Trainer> {
  const recoveries = new Recovery(recovery);
  const progress = new Progress(job, emit, options.resumed);
  for (;;) {
    try {
      return await attempt(gpu, job, control, progress, options);
    } catch (error) {
      gpu = await recoveries.after(error, gpu).catch(async (reason) => {
        await progress.giveUp();
        throw reason;
      });
      await progress.recovered();
    } finally {
      await job.data.close();
    }
  }
}

/** Trains from the last state on until the end, or until something fails. */
async function attempt(
  gpu: Gpu,
  job: TrainingJob,
  control: Control,
  progress: Progress,
  { load, finish }: LoopOptions,
): Promise<Trainer> {
  const guard = guardAgainstLoss(gpu);
  const trainer = await create(gpu, guard, job, progress, load);
  try {
    progress.restore(trainer);
    await new Loop(gpu, guard, trainer, job, control, progress).run();
    if (finish) await guard(finish(trainer));
  } catch (error) {
    trainer.destroy();
    throw error;
  }
  return trainer;
}

/** Opens a trainer. A loss of the device stops the loading of weights, and a trainer that comes too late is freed. */
async function create(
  gpu: Gpu,
  guard: Guard,
  { model, programs, plan, settings }: TrainingJob,
  progress: Progress,
  load: LoadWeights | undefined,
): Promise<Trainer> {
  const lost = new AbortController();
  const onPipeline = (done: number, total: number): void => void progress.emit({ type: "compiling", done, total });
  const creating = Trainer.create(gpu, model, programs, plan, {
    seed: settings.seed,
    load: load && ((executor, model) => load(executor, model, lost.signal)),
    onPipeline,
  });
  try {
    return await guard(creating);
  } catch (error) {
    lost.abort(error);
    creating.then((late) => late.destroy(), () => {});
    throw error;
  }
}

/** The work that is due after a step. */
interface Due {
  readonly evaluate: boolean;
  readonly sample: boolean;
  readonly save: boolean;
  /** The run ends here, unless it is continued later. */
  readonly last: boolean;
}

/** The steps of one attempt. */
class Loop {
  readonly #clock = new Stopwatch();
  readonly #meter: Meter;
  readonly #gpu: Gpu;
  readonly #guard: Guard;
  readonly #trainer: Trainer;
  readonly #job: TrainingJob;
  readonly #control: Control;
  readonly #progress: Progress;
  #stepsPerSync = 1;
  /** Steps whose metrics were not read yet. */
  #unread = 0;
  #skippedInARow = 0;

  constructor(gpu: Gpu, guard: Guard, trainer: Trainer, job: TrainingJob, control: Control, progress: Progress) {
    this.#gpu = gpu;
    this.#guard = guard;
    this.#trainer = trainer;
    this.#job = job;
    this.#control = control;
    this.#progress = progress;
    this.#meter = new Meter(trainer.executor.counters);
  }

  async run(): Promise<void> {
    const { settings: { max_steps, save_steps }, data, hooks } = this.#job, trainer = this.#trainer;
    // Replay steps lost with the device even when stopping, so that the saved state matches the reported losses.
    while (trainer.steps < max_steps && (!this.#control.stopped() || trainer.steps < this.#progress.furthest)) {
      await this.#control.unpaused();
      await this.#guard(runBefore(hooks, trainer));
      const step = trainer.steps, batches = await data.batches(step);
      this.#clock.start();
      this.#meter.measure(() => trainer.step(batches, rateAt(this.#job, step)));
      this.#unread++;
      await this.#guard(runAfter(hooks, trainer));
      await this.#afterStep(step + 1);
    }
    if (this.#unread > 0) await this.#readSteps();
    await this.#end();
    // A run that is stopped is saved too, since it may be resumed; and in memory for `finish`, which reads the weights.
    await this.#progress.keepLast(trainer, this.#guard, save_steps > 0);
  }

  /** Reads and reports everything that is due after `done` steps. A CPU-GPU sync point where anything is. */
  async #afterStep(done: number): Promise<void> {
    const { settings: { logging_steps } } = this.#job, due = this.#dueAfter(done);
    const isDue = due.evaluate || due.sample || due.save || due.last;
    if (done % this.#stepsPerSync !== 0 && done % logging_steps !== 0 && !isDue) return;
    await this.#readSteps();
    if (due.evaluate) {
      const evaluation = await this.#evaluate();
      this.#trainer.evaluated(evaluation.eval_loss);
      await this.#progress.emit({ type: "evaluation", step: done, ...evaluation });
    }
    if (due.sample) await this.#emitSample();
    await this.#progress.keep(this.#trainer, this.#guard, due.save);
  }

  /** Tells what is due. A stopped run reports the same events as one that goes on, since it may be resumed. */
  #dueAfter(done: number): Due {
    const { settings: { max_steps, eval_steps, sample_steps, save_steps }, sample } = this.#job;
    const ended = done === max_steps, last = ended || this.#control.stopped();
    return {
      evaluate: done % eval_steps === 0 && !ended,
      sample: sample !== undefined && done % sample_steps === 0 && !last,
      save: save_steps > 0 && done % save_steps === 0,
      last,
    };
  }

  async #readSteps(): Promise<void> {
    const { logging_steps, max_steps, tokens_per_step } = this.#job.settings;
    const rows = await this.#guard(this.#trainer.readMetrics());
    this.#clock.stop(rows.length);
    this.#unread = 0;
    const perStep = this.#clock.millisecondsPerStep;
    this.#stepsPerSync = Math.max(1, Math.min(logging_steps, Math.floor(MILLISECONDS_PER_SYNC / perStep)));
    for (const row of rows) {
      if (!Number.isFinite(row.loss)) throw await this.#nonFinite(`The loss of step ${row.step + 1} is ${row.loss}`);
      this.#skippedInARow = row.skipped ? this.#skippedInARow + 1 : 0;
      if (this.#skippedInARow === MAX_SKIPPED_IN_A_ROW) {
        throw await this.#nonFinite(
          `The gradients of the last ${MAX_SKIPPED_IN_A_ROW} steps up to ${row.step + 1} were not finite`,
        );
      }
      const tokens_per_second = (1000 * tokens_per_step) / perStep;
      const eta_seconds = ((max_steps - row.step - 1) * perStep) / 1000;
      await this.#progress.emit({
        type: "step",
        ...row,
        step: row.step + 1,
        learning_rate: rateAt(this.#job, row.step),
        tokens_per_second,
        eta_seconds,
      });
    }
  }

  async #end(): Promise<void> {
    const { model, plan, settings } = this.#job, trainer = this.#trainer;
    let evaluation: Evaluation = { eval_loss: NaN, labels: 0 };
    if (trainer.steps > 0) {
      evaluation = await this.#evaluate();
      await this.#progress.emit({ type: "evaluation", step: trainer.steps, ...evaluation });
      await this.#emitSample();
    }
    const summary: Summary = {
      steps: trainer.steps,
      ...this.#progress.ofSteps(settings.logging_steps),
      ...evaluation,
      tokens_per_second: (1000 * settings.tokens_per_step) / this.#clock.millisecondsPerStep,
      planned_bytes: bytesByRole(plan.buffers),
      allocated_bytes: trainer.executor.allocatedBytes,
      ...this.#meter.perStep(),
      parameters: countParameters(model.parameters),
      trainable_parameters: countParameters(trainedParameters(model)),
      adapter: this.#gpu.adapter.name,
    };
    await this.#progress.emit({ type: "end", summary });
  }

  #evaluate(): Promise<Evaluation> {
    const { programs, data } = this.#job;
    return this.#guard(this.#trainer.evaluate(programs.evaluate, data.validation()));
  }

  async #emitSample(): Promise<void> {
    const { sample } = this.#job, trainer = this.#trainer;
    if (sample) {
      await this.#progress.emit({ type: "sample", step: trainer.steps, text: await this.#guard(sample(trainer)) });
    }
  }

  async #nonFinite(problem: string): Promise<NonFiniteLossError> {
    return new NonFiniteLossError(
      `${problem}; ${await this.#trainer.diagnose()}. Use a smaller learning_rate, or set max_grad_norm`,
    );
  }
}

/** The learning rate of a step: the schedule's, but slowly back to it where moments began again. */
const rateAt = ({ schedule, hooks }: TrainingJob, step: number): number =>
  recoveringRate(step, lastRestart(hooks, step), (at) => learningRateAt(at, schedule));
