// A tiny run that is saved to a file in memory, and files that are opened for another run.

import { blobSource } from "../../../src/checkpoint/source/blob.ts";
import type { ByteSource } from "../../../src/checkpoint/source/source.ts";
import type { Run } from "../../../src/recipe/run.ts";
import type { LoadWeights } from "../../../src/train/session.ts";
import { Trainer } from "../../../src/train/trainer.ts";
import {
  encodeTraining,
  type OpenedTraining,
  openTraining,
  type TrainingContext,
} from "../../../src/recipe/training_file.ts";
import { batchesOf, prepareTiny, type Settings } from "../../train/tiny.ts";
import { testGpu } from "../../test_gpu.ts";

export interface Opening {
  readonly run: Run;
  readonly trainer: Trainer;
  readonly go: (steps: number) => void;
}

/** A tiny run with its initial weights. */
export const openTiny = async (settings: Settings, load?: LoadWeights): Promise<Opening> =>
  await openRun(prepareTiny(await testGpu(), settings), load);

export async function openRun(run: Run, load?: LoadWeights): Promise<Opening> {
  const gpu = await testGpu();
  const trainer = await Trainer.create(gpu, run.model, run.programs, run.plan, { seed: run.config.seed, load });
  const go = (steps: number): void => {
    for (let i = 0; i < steps; i++) trainer.step(batchesOf(run, trainer.steps), 0.01);
  };
  return { run, trainer, go };
}

export const contextOf = ({ data }: Run, base: TrainingContext["base"] = null): TrainingContext => ({
  base,
  data: data.fingerprint,
});

export async function saved({ run, trainer }: Opening, context = contextOf(run)): Promise<ByteSource> {
  const pieces = await Array.fromAsync(encodeTraining(await trainer.save(), run.config, context));
  return blobSource("checkpoint.safetensors", new Blob(pieces));
}

export const opened = (
  file: ByteSource,
  { run }: Pick<Opening, "run">,
  { config = run.config, context = contextOf(run) } = {},
): Promise<OpenedTraining> => openTraining(file, { ...run, config }, context);
