// Trains a work with Scrimp, and times it. Measures as runJaxJs in jax_js.ts does; see there.

import { openGpu } from "../../src/gpu/device.ts";
import { parseConfig, type TrainingConfig } from "../../src/train/config.ts";
import { planRun } from "../../src/train/run.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { initialWeights, tokenBatch, type Work } from "./works.ts";

const WARM_UP_STEPS = 2;

const gpu = openGpu();

/** Trains `steps` steps after two for warming up, and waits for the GPU every `stepsPerWait` of them. */
export async function runScrimp(
  work: Work,
  steps: number,
  stepsPerWait = 1,
): Promise<{ milliseconds: number[]; losses: number[]; counters: Record<string, number> }> {
  const { model, programs, plan } = planRun(configOf(work, stepsPerWait), work.vocab_size, (await gpu).variant);
  const trainer = await Trainer.create(await gpu, model, programs, plan, 0);
  for (const [name, { data }] of initialWeights(work)) trainer.setParameter(name, new Float32Array(data));
  const losses: number[] = [], milliseconds: number[] = [];
  const step = (index: number): void => {
    const { input_ids, labels } = tokenBatch(work, index);
    trainer.step([{ input_ids: new Uint32Array(input_ids), labels: new Uint32Array(labels) }], work.learning_rate);
  };
  const wait = async (): Promise<void> => {
    for (const { loss } of await trainer.readMetrics()) losses.push(loss);
  };

  for (let index = 0; index < WARM_UP_STEPS; index++) {
    step(index);
    await wait();
  }
  const before = { ...trainer.executor.counters };
  for (let done = 0; done < steps; done += stepsPerWait) {
    const count = Math.min(stepsPerWait, steps - done);
    const begun = performance.now();
    for (let i = 0; i < count; i++) step(WARM_UP_STEPS + done + i);
    await wait();
    milliseconds.push((performance.now() - begun) / count);
  }
  const counters = Object.fromEntries(Object.entries(trainer.executor.counters).map(([name, value]) => [name, (value - before[name as keyof typeof before]) / steps]));
  trainer.destroy();
  return { milliseconds, losses, counters };
}

function configOf({ name: _name, ...work }: Work, stepsPerWait: number): TrainingConfig {
  return parseConfig({ ...work, tokenizer: "byte", logging_steps: Math.max(WARM_UP_STEPS, stepsPerWait) });
}
