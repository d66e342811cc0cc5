// The smallest run worth the name, and what its listener heard.

import type { Batch } from "../../src/data/batch.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import type { Control, Summary, TrainEvent } from "../../src/train/events.ts";
import { train } from "../../src/train/loop.ts";
import { prepareRun, type Run } from "../../src/recipe/run.ts";
import type { Trainer } from "../../src/train/trainer.ts";
import { testGpu } from "../test_gpu.ts";

/** 6448 parameters, 32 tokens a step. */
export const TINY = {
  tokenizer: "byte",
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_length: 16,
  per_device_train_batch_size: 2,
  max_steps: 6,
  logging_steps: 2,
  eval_batches: 1,
  sample_tokens: 2,
} as const;

export const TEXT = [...Array(60).keys()].map((n) =>
  `On day ${n} the cat sat on mat ${(n * 7) % 10} and saw ${n % 4} birds.`
).join("\n");

export type Settings = Readonly<Record<string, unknown>>;

export const prepareTiny = (gpu: Gpu, settings: Settings = {}): Run =>
  prepareRun(parseConfig({ ...TINY, ...settings }), TEXT, gpu.target);

/** The micro-batches of a step, which of a text are there at once. */
export function batchesOf(run: Run, step: number): readonly Batch[] {
  const batches = run.data.batches(step);
  if (batches instanceof Promise) throw new Error("the batches of a text are promised");
  return batches;
}

export const NEVER: Control = { stopped: () => false, unpaused: () => Promise.resolve() };

export type EventOf<T extends TrainEvent["type"]> = Extract<TrainEvent, { type: T }>;
export const ofType = <T extends TrainEvent["type"]>(events: readonly TrainEvent[], type: T): EventOf<T>[] =>
  events.filter((event): event is EventOf<T> => event.type === type);

export interface Heard {
  readonly events: readonly TrainEvent[];
  readonly losses: readonly number[];
  readonly summary: Summary;
}

/** Trains and destroys the trainer, after `look` has seen it. */
export async function trainTiny(
  settings: Settings = {},
  control = NEVER,
  look: (trainer: Trainer, run: Run) => Promise<void> = async () => {},
): Promise<Heard> {
  const gpu = await testGpu(), run = prepareTiny(gpu, settings), events: TrainEvent[] = [];
  const trainer = await train(gpu, run, control, (event) => void events.push(event));
  await look(trainer, run);
  trainer.destroy();
  return { events, losses: ofType(events, "step").map(({ loss }) => loss), summary: ofType(events, "end")[0]!.summary };
}
