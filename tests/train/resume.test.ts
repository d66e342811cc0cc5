// Resuming: n steps are k steps, save, restore in a new trainer, n - k steps. Bit by bit, for every optimizer.

import { assert, assertEquals, assertThrows, test } from "../harness.ts";
import { sharedGpu, prepareTiny, type Settings } from "./tiny.ts";
import { OPTIMIZERS } from "../../src/optim/presets.ts";
import { sampleBatch } from "../../src/data/text.ts";
import type { Run } from "../../src/train/run.ts";
import { Trainer, type TrainingState } from "../../src/train/trainer.ts";
import { decodeTraining, encodeTraining } from "../../src/train/training_file.ts";

/** A switch after every second step, so that a run resumed after three stands within a period. */
const STEPS = 7, SAVED = 3;

async function open(settings: Settings): Promise<{ run: Run; trainer: Trainer; go: (steps: number) => void }> {
  const gpu = await sharedGpu(), run = prepareTiny(gpu, { max_steps: STEPS, ...settings });
  const trainer = await Trainer.create(gpu, run.model, run.programs, run.plan, run.config.seed);
  const { max_length: length, per_device_train_batch_size: batch, seed } = run.config;
  const go = (steps: number): void => {
    for (let i = 0; i < steps; i++) trainer.step([sampleBatch(run.tokens.train, { seed, step: trainer.steps, batch, length })], 0.01);
  };
  return { run, trainer, go };
}

async function bothWays(settings: Settings): Promise<{ whole: TrainingState; resumed: TrainingState }> {
  const straight = await open(settings);
  straight.go(STEPS);
  const whole = await straight.trainer.save();
  straight.trainer.destroy();
  const first = await open(settings);
  first.go(SAVED);
  const file = encodeTraining(await first.trainer.save(), first.run.config);
  first.trainer.destroy();
  const second = await open(settings);
  second.trainer.restore(decodeTraining(file, second.run.config));
  assertEquals(second.trainer.steps, SAVED);
  second.go(STEPS - SAVED);
  const resumed = await second.trainer.save();
  second.trainer.destroy();
  return { whole, resumed };
}

function assertSame({ whole, resumed }: { whole: TrainingState; resumed: TrainingState }): void {
  assertEquals([...resumed.tensors.keys()], [...whole.tensors.keys()]);
  for (const [name, words] of whole.tensors) assertEquals(resumed.tensors.get(name), words, name);
  assertEquals({ ...resumed, tensors: 0 }, { ...whole, tensors: 0 });
}

/** Beside the presets, what keeps more than moments from step to step. */
const CASES: Readonly<Record<string, Settings>> = {
  ...Object.fromEntries(OPTIMIZERS.map((optim) => [optim, { optim, optim_args: { update_gap: 2 } }])),
  "frugal, randk": { optim: "frugal", optim_args: { split: "randk", update_gap: 2 } },
  "frugal, dct, rotated moments": { optim: "frugal_svd", optim_args: { proj: "dct", switch_moments: "rotate", update_gap: 2 } },
  "galore, staggered": { optim: "galore", optim_args: { stagger: 2, update_gap: 2 } },
  "frugal, falling density": { optim: "frugal", optim_args: { density: 0.5, density_end: 0.1, update_gap: 2 } },
  "adamw, bfloat16": { optim: "adamw", dtype: "bfloat16" },
};

for (const [name, settings] of Object.entries(CASES)) {
  test(`${name}: resumed in a new trainer it computes the same bits`, async () => {
    assertSame(await bothWays(settings));
  });
}

test("a resumed run is not the run that starts again", async () => {
  const { whole } = await bothWays({ optim: "adamw" }), fresh = await open({ optim: "adamw" });
  fresh.go(STEPS - SAVED);
  const other = await fresh.trainer.save();
  fresh.trainer.destroy();
  assert([...whole.tensors].some(([name, words]) => words.some((word, i) => word !== other.tensors.get(name)![i])), "the saved steps make no difference");
});

test("a checkpoint of other settings or another optimizer is refused in one line", async () => {
  const { run, trainer } = await open({ optim: "adamw" }), file = encodeTraining(await trainer.save(), run.config);
  assertThrows(() => decodeTraining(file, { ...run.config, weight_decay: 0.5 }), 'Cannot resume with "weight_decay" 0.5: the checkpoint was saved with 0.1');
  assertThrows(() => decodeTraining(file.slice(0, file.length - 4), run.config), "Copy the file again");
  assertThrows(() => decodeTraining(file.slice(0, 3), run.config), "Copy the file again");
  const state = decodeTraining(file, { ...run.config, run_name: "another", logging_steps: 7 });
  trainer.destroy();
  const other = await open({ optim: "sgd" });
  assertThrows(() => other.trainer.restore(state), "Resume with the settings that it was saved with");
  other.trainer.destroy();
});
