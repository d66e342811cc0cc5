import { type Gpu, openGpu } from "../gpu/device.ts";
import { type Guard, guardAgainstLoss } from "../gpu/loss.ts";
import { countParameters } from "../models/parameter.ts";
import { recoveringRate } from "../optim/step/recovery.ts";
import { learningRateAt } from "../optim/step/schedule.ts";
import { bytesByRole } from "../plan/ledger.ts";
import type { TrainingConfig } from "../recipe/config/config.ts";
import { type Control, type Listener, NonFiniteLossError, type Summary } from "./events.ts";
import { Meter, Stopwatch } from "./meter.ts";
import { Progress, type Resumed } from "./progress.ts";
import { Recovery, type RecoveryOptions } from "./recovery.ts";
import type { Run } from "../recipe/run.ts";
import { sampleText } from "./sample.ts";
import { type Evaluation, type LoadWeights, Trainer } from "./trainer.ts";

/**
 * A step whose gradient is not finite changes nothing. One may be bad luck; so many are a run that no longer trains.
 */
const MAX_SKIPPED_IN_A_ROW = 10;

/** The queue is never longer than this, so that a pause takes hold and a page stays alive. */
const MILLISECONDS_PER_SYNC = 500;

export interface TrainOptions {
  /** What an earlier run of the same settings has got to. */
  readonly resumed?: Resumed | undefined;
  /** Writes the weights of a pretrained model, again after each loss of the device. */
  readonly load?: LoadWeights | undefined;
  /**
   * Reads what was trained, while a device that is lost can still be made up for: the last steps are then made again.
   */
  readonly finish?: ((trainer: Trainer) => Promise<void>) | undefined;
  readonly recovery?: RecoveryOptions;
}

/**
 * Trains. `emit` hears of everything as it happens; the trainer, with its trained weights, is the caller's to destroy.
 * A lost device is opened again, and the run goes on from the last state that is held in memory, with the same losses.
 * @throws NonFiniteLossError naming the step and the first tensor that went bad, DeviceLostError at the third loss in
 * ten minutes, OutOfMemoryError.
 */
export async function train(
  gpu: Gpu,
  run: Run,
  control: Control,
  emit: Listener,
  { recovery = { reopen: openGpu }, ...options }: TrainOptions = {},
): Promise<Trainer> {
  const recoveries = new Recovery(recovery);
  const progress = new Progress(run, emit, options.resumed);
  for (;;) {
    try {
      return await attempt(gpu, run, control, progress, options);
    } catch (error) {
      gpu = await recoveries.after(error, gpu).catch(async (reason) => {
        await progress.giveUp();
        throw reason;
      });
      await progress.recovered();
    } finally {
      await run.data.close();
    }
  }
}

/** Trains from the last state on until the end, or until something fails. */
async function attempt(
  gpu: Gpu,
  run: Run,
  control: Control,
  progress: Progress,
  { load, finish }: TrainOptions,
): Promise<Trainer> {
  const guard = guardAgainstLoss(gpu);
  const trainer = await create(gpu, guard, run, progress, load);
  try {
    progress.restore(trainer);
    await new Loop(gpu, guard, trainer, run, control, progress).run();
    if (finish) await guard(finish(trainer));
  } catch (error) {
    trainer.destroy();
    throw error;
  }
  return trainer;
}

/** A loss of the device stops the loading of weights too, and a trainer that comes too late is let go. */
async function create(
  gpu: Gpu,
  guard: Guard,
  run: Run,
  progress: Progress,
  load: LoadWeights | undefined,
): Promise<Trainer> {
  const given = new AbortController();
  const onPipeline = (done: number, total: number): void => void progress.emit({ type: "compiling", done, total });
  const creating = Trainer.create(gpu, run.model, run.programs, run.plan, {
    seed: run.config.seed,
    load: load && ((executor, model) => load(executor, model, given.signal)),
    onPipeline,
  });
  try {
    return await guard(creating);
  } catch (error) {
    given.abort(error);
    creating.then((late) => late.destroy(), () => {});
    throw error;
  }
}

/** What is due after a step. */
interface Due {
  readonly evaluate: boolean;
  readonly sample: boolean;
  readonly save: boolean;
  /** The run ends, for all that is known. */
  readonly last: boolean;
}

/** The steps of one attempt. */
class Loop {
  readonly #clock = new Stopwatch();
  readonly #meter: Meter;
  readonly #gpu: Gpu;
  readonly #guard: Guard;
  readonly #trainer: Trainer;
  readonly #run: Run;
  readonly #control: Control;
  readonly #progress: Progress;
  readonly #tokensPerStep: number;
  #stepsPerSync = 1;
  /** Steps whose metrics were not read yet. */
  #unread = 0;
  #skippedInARow = 0;

  constructor(gpu: Gpu, guard: Guard, trainer: Trainer, run: Run, control: Control, progress: Progress) {
    [this.#gpu, this.#guard, this.#trainer, this.#run, this.#control, this.#progress] = [
      gpu,
      guard,
      trainer,
      run,
      control,
      progress,
    ];
    this.#meter = new Meter(trainer.executor.counters);
    const { gradient_accumulation_steps, per_device_train_batch_size, max_length } = run.config;
    this.#tokensPerStep = gradient_accumulation_steps * per_device_train_batch_size * max_length;
  }

  async run(): Promise<void> {
    const { config } = this.#run, trainer = this.#trainer;
    // A run that is stopped makes again what a lost device had done.
    while (trainer.steps < config.max_steps && (!this.#control.stopped() || trainer.steps < this.#progress.furthest)) {
      await this.#control.unpaused();
      const step = trainer.steps;
      if (isRestart(config, step)) {
        await this.#guard(config.relora_steps > 0 ? trainer.mergeAdapters(config.seed) : trainer.refactorise());
      }
      const batches = await this.#run.data.batches(step);
      this.#clock.start();
      this.#meter.measure(() => trainer.step(batches, rateAt(this.#run, step)));
      this.#unread++;
      await this.#afterStep(step + 1);
    }
    if (this.#unread > 0) await this.#readSteps();
    await this.#end();
    // Also of a run that is stopped, for it may be resumed; and in memory for who reads the weights now.
    await this.#progress.keepLast(trainer, this.#guard, config.save_steps > 0);
  }

  /** Reads and tells what is due after `done` steps. A CPU-GPU sync point where anything is. */
  async #afterStep(done: number): Promise<void> {
    const { config } = this.#run, due = this.#dueAfter(done);
    if (
      done % this.#stepsPerSync !== 0 && done % config.logging_steps !== 0 && !due.evaluate && !due.sample &&
      !due.save && !due.last
    ) return;
    await this.#readSteps();
    if (due.evaluate) {
      const evaluation = await this.#evaluate();
      this.#trainer.evaluated(evaluation.eval_loss);
      await this.#progress.emit({ type: "evaluation", step: done, ...evaluation });
    }
    if (due.sample) await this.#progress.emit({ type: "sample", step: done, text: await this.#sample() });
    await this.#progress.keep(this.#trainer, this.#guard, due.save);
  }

  /** A run that is stopped hears what it would have heard: it may be resumed. */
  #dueAfter(done: number): Due {
    const { max_steps, eval_steps, sample_steps, save_steps } = this.#run.config;
    const ended = done === max_steps, last = ended || this.#control.stopped();
    return {
      evaluate: done % eval_steps === 0 && !ended,
      sample: this.#canSample && done % sample_steps === 0 && !last,
      save: save_steps > 0 && done % save_steps === 0,
      last,
    };
  }

  async #readSteps(): Promise<void> {
    const { config } = this.#run;
    const rows = await this.#guard(this.#trainer.readMetrics());
    this.#clock.stop(rows.length);
    this.#unread = 0;
    const perStep = this.#clock.millisecondsPerStep;
    this.#stepsPerSync = Math.max(1, Math.min(config.logging_steps, Math.floor(MILLISECONDS_PER_SYNC / perStep)));
    for (const row of rows) {
      if (!Number.isFinite(row.loss)) throw await this.#nonFinite(`The loss of step ${row.step + 1} is ${row.loss}`);
      this.#skippedInARow = row.skipped ? this.#skippedInARow + 1 : 0;
      if (this.#skippedInARow === MAX_SKIPPED_IN_A_ROW) {
        throw await this.#nonFinite(
          `The gradients of the last ${MAX_SKIPPED_IN_A_ROW} steps up to ${row.step + 1} were not finite`,
        );
      }
      const tokens_per_second = (1000 * this.#tokensPerStep) / perStep,
        eta_seconds = ((config.max_steps - row.step - 1) * perStep) / 1000;
      await this.#progress.emit({
        type: "step",
        ...row,
        step: row.step + 1,
        learning_rate: rateAt(this.#run, row.step),
        tokens_per_second,
        eta_seconds,
      });
    }
  }

  async #end(): Promise<void> {
    const { model, plan, config } = this.#run, trainer = this.#trainer;
    let evaluation: Evaluation = { eval_loss: NaN, labels: 0 };
    if (trainer.steps > 0) {
      evaluation = await this.#evaluate();
      await this.#progress.emit({ type: "evaluation", step: trainer.steps, ...evaluation });
      if (this.#canSample) {
        await this.#progress.emit({ type: "sample", step: trainer.steps, text: await this.#sample() });
      }
    }
    const summary: Summary = {
      steps: trainer.steps,
      ...this.#progress.ofSteps(config.logging_steps),
      ...evaluation,
      tokens_per_second: (1000 * this.#tokensPerStep) / this.#clock.millisecondsPerStep,
      planned_bytes: bytesByRole(plan.buffers),
      allocated_bytes: trainer.executor.allocatedBytes,
      ...this.#meter.perStep(),
      parameters: countParameters(model.parameters),
      trainable_parameters: countParameters(model.parameters.filter(({ needsGradient }) => needsGradient)),
      adapter: this.#gpu.adapter.name,
    };
    await this.#progress.emit({ type: "end", summary });
  }

  get #canSample(): boolean {
    return this.#run.programs.generate !== undefined;
  }

  #evaluate(): Promise<Evaluation> {
    return this.#guard(this.#trainer.evaluate(this.#run.data.validation()));
  }

  #sample(): Promise<string> {
    const { config, tokenizer } = this.#run;
    return this.#guard(sampleText(this.#trainer, tokenizer, { ...config, max_new_tokens: config.sample_tokens }));
  }

  async #nonFinite(problem: string): Promise<NonFiniteLossError> {
    return new NonFiniteLossError(
      `${problem}; ${await this.#trainer.diagnose()}. Use a smaller learning_rate, or set max_grad_norm`,
    );
  }
}

/** Steps between two restarts: of factors that are balanced, or adapters that are merged. 0: never. */
const restartGap = ({ refactor_steps, relora_steps }: TrainingConfig): number => refactor_steps || relora_steps;

/** Whether moments begin anew before a step. */
const isRestart = (config: TrainingConfig, step: number): boolean =>
  restartGap(config) > 0 && step > 0 && step % restartGap(config) === 0;

/** The learning rate of a step: the schedule's, but slowly back to it where moments began anew. */
function rateAt({ config, schedule }: Run, step: number): number {
  const gap = restartGap(config), restarted = gap > 0 && step >= gap ? step - (step % gap) : -Infinity;
  return recoveringRate(step, restarted, (at) => learningRateAt(at, schedule));
}
