import { generateStories } from "../../data/corpus.ts";
import { type Gpu, openGpu } from "../../gpu/device.ts";
import { countParameters } from "../../models/parameter.ts";
import { bytesByRole } from "../../plan/ledger.ts";
import { nextRun, type PlannedRun, type RunResult } from "./comparison_results.ts";
import type { Comparison } from "./settings.ts";
import { ConfigError } from "../config/config.ts";
import { NonFiniteLossError, type TrainEvent } from "../../train/events.ts";
import { train } from "../../train/loop.ts";
import type { BaseModel } from "../trained_model.ts";
import type { RecoveryOptions } from "../../train/device_recovery.ts";
import { type FineTuningSources, prepareFineTuning } from "../fine_tuning.ts";
import { checkRunFits, type PreparedText, prepareRun, prepareText, type Run } from "../run.ts";
import type { Point } from "../../report/svg.ts";
import type { LoadWeights } from "../../train/session.ts";

/** A run, and what writes the weights of its pretrained model. */
export interface Ready {
  /** The prepared run. */
  readonly run: Run;
  /** Gives the weights; absent, they are drawn at random. */
  readonly load?: LoadWeights;
  /** The pretrained model that is trained further. */
  readonly base?: BaseModel;
}

/** A comparison that is ready to run: every method fits its settings and the adapter. */
export interface PreparedComparison {
  /** The methods and their settings. */
  readonly comparison: Comparison;
  /** Makes a planned run ready to train. */
  readonly prepare: (plan: PlannedRun) => Promise<Ready>;
}

/**
 * Plans each run before there is one. Of new models a text is made into tokens once for all that read it with the same
 * tokenizer.
 * @param source text of the dataset, or undefined for the embedded stories; or where a pretrained model and its data
 * are.
 * @param available bytes that a run may use in all; Infinity if unknown.
 * @throws ConfigError naming the method that does not fit.
 */
export async function prepareComparison(
  comparison: Comparison,
  source: string | undefined | FineTuningSources,
  gpu: Gpu,
  available: number,
): Promise<PreparedComparison> {
  const { methods, seeds } = comparison;
  const prepare = typeof source === "object" ? fineTunings(source, gpu) : trainings(comparison, source, gpu);
  for (const method of methods) {
    for (const entry of method.sweep) {
      await prepare({ method, entry, seed: seeds[0]! }).then(({ run, base }) => checkRunFits(run, gpu, available, base))
        .catch((error) => named(method, entry, error));
    }
  }
  return { comparison, prepare };
}

/** Throws an error of settings or files again, with the method that it is of. */
function named({ name }: PlannedRun["method"], { label }: PlannedRun["entry"], error: unknown): never {
  if (!(error instanceof ConfigError || error instanceof RangeError || error instanceof TypeError)) throw error;
  throw new ConfigError(`Method "${name}"${label && `, ${label}`}: ${(error as Error).message}`);
}

function trainings({ base }: Comparison, text: string | undefined, gpu: Gpu): PreparedComparison["prepare"] {
  const texts = new Map<string, PreparedText>();
  return async ({ entry: { config }, seed }) => {
    const { tokenizer, vocab_size } = config, key = `${tokenizer} ${vocab_size}`;
    const prepared = texts.get(key) ?? prepareText({ tokenizer, vocab_size }, text ?? generateStories(base.seed));
    texts.set(key, prepared);
    return { run: prepareRun({ ...config, seed }, prepared, gpu.target) };
  };
}

const fineTunings =
  (sources: FineTuningSources, gpu: Gpu): PreparedComparison["prepare"] => async ({ entry, seed }) => {
    const { config, prepared, load } = await prepareFineTuning({ ...entry.config, seed }, sources);
    return { run: prepareRun(config, prepared, gpu.target), load, base: prepared.base };
  };

/**
 * Runs, one after another, what `results` lack of a comparison, and gives each result as it is found; the caller adds
 * it to `results`.
 */
export async function* runComparison(
  gpu: Gpu,
  { comparison, prepare }: PreparedComparison,
  results: readonly RunResult[],
  onStep: (plan: PlannedRun, step: number) => void = () => {},
): AsyncGenerator<RunResult> {
  // A run that has lost its device goes on with another, and so do those behind it.
  let device = gpu;
  for (let plan = nextRun(comparison, results); plan; plan = nextRun(comparison, results)) {
    const { method, entry, seed } = plan, current = plan;
    const recovery = { reopen: async () => (device = await openGpu()) };
    const outcome = await measure(device, await prepare(plan), recovery, (step) => onStep(current, step));
    yield { method: method.name, entry: entry.label, seed, ...outcome };
  }
}

/** Trains and keeps the numbers. A loss that is not finite is a result. */
async function measure(
  gpu: Gpu,
  { run, load }: Ready,
  recovery: RecoveryOptions,
  onStep: (step: number) => void,
): Promise<Omit<RunResult, "method" | "entry" | "seed">> {
  const begun = performance.now();
  const curve: Point[] = [];
  let tokens_per_second: number | null = null, eval_loss: number | null = null, problem: string | null = null;
  const listen = (event: TrainEvent): void => {
    if (event.type === "evaluation" && Number.isFinite(event.eval_loss)) {
      curve.push({ step: event.step, loss: event.eval_loss });
    }
    if (event.type === "step") onStep(event.step);
    if (event.type === "step") tokens_per_second = event.tokens_per_second;
    if (event.type === "end") eval_loss = event.summary.eval_loss;
  };
  try {
    const trainer = await train(gpu, run, undefined, listen, {
      load,
      recovery,
    });
    trainer.destroy();
    if (!Number.isFinite(eval_loss)) [problem, eval_loss] = [`The validation loss is ${eval_loss}`, null];
  } catch (error) {
    if (!(error instanceof NonFiniteLossError)) throw error;
    problem = error.message;
  }
  return {
    learning_rate: run.schedule.learning_rate,
    eval_loss,
    problem,
    curve,
    tokens_per_second,
    planned_bytes: bytesByRole(run.plan.buffers),
    parameters: countParameters(run.model.parameters),
    adapter: gpu.adapter.name,
    seconds: (performance.now() - begun) / 1000,
  };
}
