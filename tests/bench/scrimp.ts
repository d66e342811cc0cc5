// Trains a work with Scrimp, and times it. Measures as runJaxJs in jax_js.ts does; see there.

import type { Batch } from "../../src/data/batch.ts";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { checkFits } from "../../src/plan/ledger.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { planRun } from "../../src/recipe/run.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { initialWeights, tokenBatch, type Work } from "./works.ts";

const WARM_UP_STEPS = 2;

let gpu: Promise<Gpu> | undefined;

/** Trains `steps` steps after two for warming up, and waits for the GPU every `stepsPerWait` of them. */
export async function runScrimp(
  work: Work,
  steps: number,
  stepsPerWait: number,
  availableBytes: number,
): Promise<{ milliseconds: number[]; losses: number[]; counters: Record<string, number> }> {
  const trainer = await openTrainer(
    await (gpu ??= openGpu()),
    work,
    Math.max(WARM_UP_STEPS, stepsPerWait),
    availableBytes,
  );
  const losses: number[] = [], milliseconds: number[] = [];
  const wait = async (): Promise<void> => {
    for (const { loss } of await trainer.readMetrics()) losses.push(loss);
  };

  for (let index = 0; index < WARM_UP_STEPS; index++) {
    trainStep(trainer, work);
    await wait();
  }
  const before = { ...trainer.executor.counters };
  for (let done = 0; done < steps; done += stepsPerWait) {
    const count = Math.min(stepsPerWait, steps - done);
    const begun = performance.now();
    for (let i = 0; i < count; i++) trainStep(trainer, work);
    await wait();
    milliseconds.push((performance.now() - begun) / count);
  }
  const counters = Object.fromEntries(
    Object.entries(trainer.executor.counters).map((
      [name, value],
    ) => [name, (value - before[name as keyof typeof before]) / steps]),
  );
  trainer.destroy();
  return { milliseconds, losses, counters };
}

/** @throws RangeError of one line if the adapter cannot hold the work. */
export async function refuseMisfit(work: Work, stepsPerWait: number, availableBytes: number): Promise<void> {
  planWork(await (gpu ??= openGpu()), work, stepsPerWait, availableBytes);
}

/**
 * The programs and the memory plan of a work.
 * @param logging_steps steps between two read-backs, at most.
 * @param availableBytes of the host, whose memory is a software adapter's memory.
 * @throws RangeError of one line if the adapter cannot hold it.
 */
export function planWork(
  { adapter, target }: Gpu,
  { name: _name, ...work }: Work,
  logging_steps: number,
  availableBytes: number,
): ReturnType<typeof planRun> {
  const planned = planRun(parseConfig({ ...work, tokenizer: "byte", logging_steps }), {
    vocab_size: work.vocab_size,
    target,
  });
  checkFits(planned.plan, adapter.limits, adapter.software ? availableBytes : Infinity);
  return planned;
}

/** A trainer that starts from the initial weights of the work. */
export async function openTrainer(
  gpu: Gpu,
  work: Work,
  logging_steps: number,
  availableBytes: number,
): Promise<Trainer> {
  const { model, programs, plan } = planWork(gpu, work, logging_steps, availableBytes);
  const trainer = await Trainer.create(gpu, model, programs, plan);
  setWeights(trainer, work);
  return trainer;
}

export function setWeights(trainer: Trainer, work: Work): void {
  for (const [name, { data }] of initialWeights(work)) trainer.setParameter(name, new Float32Array(data));
}

/** Submits the next step of the work. */
export function trainStep(trainer: Trainer, work: Work): void {
  const { input_ids, labels } = tokenBatch(work, trainer.steps);
  const batch: Batch = { input_ids: new Uint32Array(input_ids), labels: new Uint32Array(labels) };
  trainer.step([batch], work.learning_rate);
}
