// Resuming: n steps are k steps, save, restore in a new trainer, n - k steps. Bit by bit, for every optimizer.

import { assert, assertEquals, assertRejects, assertThrows, test } from "../../harness.ts";
import { blobSource } from "../../../src/checkpoint/source/blob.ts";
import type { ByteSource } from "../../../src/checkpoint/source/source.ts";
import { OPTIMIZERS } from "../../../src/optim/presets.ts";
import type { TrainingState } from "../../../src/train/trainer.ts";
import { DamagedCheckpointError, encodeTraining, openNewest } from "../../../src/recipe/training_file.ts";
import { contextOf, opened, type Opening, openTiny, saved } from "./checkpoints.ts";
import type { Settings } from "../../train/tiny.ts";

/** A switch after every second step, so that a run resumed after three stands within a period. */
const STEPS = 7, SAVED = 3;

const open = (settings: Settings): Promise<Opening> => openTiny({ max_steps: STEPS, ...settings });

async function bothWays(settings: Settings): Promise<{ whole: TrainingState; resumed: TrainingState }> {
  const straight = await open(settings);
  straight.go(STEPS);
  const whole = await straight.trainer.save();
  straight.trainer.destroy();
  const first = await open(settings);
  first.go(SAVED);
  const file = await saved(first);
  first.trainer.destroy();
  const second = await open(settings), { state, remapping, notes } = await opened(file, second);
  assertEquals([remapping, notes], [undefined, []]);
  second.trainer.restore(state);
  assertEquals(second.trainer.steps, SAVED);
  second.go(STEPS - SAVED);
  const resumed = await second.trainer.save();
  second.trainer.destroy();
  return { whole, resumed };
}

function assertSame({ whole, resumed }: { whole: TrainingState; resumed: TrainingState }): void {
  assertEquals([...resumed.tensors.keys()].sort(), [...whole.tensors.keys()].sort());
  for (const [name, words] of whole.tensors) assertEquals(resumed.tensors.get(name), words, name);
  assertEquals({ ...resumed, tensors: 0 }, { ...whole, tensors: 0 });
}

/** Beside the presets, what keeps more than moments from step to step. */
const CASES: Readonly<Record<string, Settings>> = {
  ...Object.fromEntries(OPTIMIZERS.map((optim) => [optim, { optim, optim_args: { update_gap: 2 } }])),
  "frugal, randk": { optim: "frugal", optim_args: { split: "randk", update_gap: 2 } },
  "frugal, dct, rotated moments": {
    optim: "frugal_svd",
    optim_args: { proj: "dct", switch_moments: "rotate", update_gap: 2 },
  },
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
  assert(
    [...whole.tensors].some(([name, words]) => words.some((word, i) => word !== other.tensors.get(name)![i])),
    "the saved steps make no difference",
  );
});

test("a checkpoint of other settings, another optimizer or cut short is refused in one line", async () => {
  const run = await open({ optim: "adamw" }), file = await saved(run), { config } = run.run;
  await assertRejects(
    () => opened(file, run, { config: { ...config, weight_decay: 0.5 } }),
    'Cannot resume with "weight_decay" 0.5: the checkpoint was saved with 0.1',
  );
  const bytes = await file.read(0, file.size);
  for (const length of [bytes.length - 4, 40, 3, 0]) {
    await assertRejects(
      () => opened(blobSource("cut.safetensors", new Blob([bytes.subarray(0, length)])), run),
      "Copy or download it again",
    );
  }
  const { state } = await opened(file, run, {
    config: { ...config, run_name: "another", logging_steps: 7, save_total_limit: 5 },
  });
  run.trainer.destroy();
  const other = await open({ optim: "sgd" });
  await assertRejects(
    () => opened(file, other),
    'Cannot resume with "optim" "sgd": the checkpoint was saved with "adamw"',
  );
  assertThrows(
    () => other.trainer.restore({ ...state, tensors: new Map([...state.tensors].slice(1)) }),
    "Resume with the settings that it was saved with",
  );
  other.trainer.destroy();
});

/** A file with one bit turned round. */
async function flipped(file: ByteSource, at: number, bit: number, name = "flipped.safetensors"): Promise<ByteSource> {
  const bytes = await file.read(0, file.size);
  bytes[at]! ^= 1 << bit;
  return blobSource(name, new Blob([bytes]));
}

test("one bit that is another is noticed, wherever in the file it is", async () => {
  const run = await open({ optim: "adamw" });
  run.go(1);
  const file = await saved(run);
  // Each some two hundredth of the file, and of the first kilobytes, where the header is.
  const places = [
    ...[...Array(200).keys()].map((i) => Math.floor((i * file.size) / 200)),
    ...[...Array(200).keys()].map((i) => 41 * i),
    file.size - 1,
  ];
  for (const [i, at] of places.entries()) {
    const error = await assertRejects(async () => opened(await flipped(file, at, i % 8), run), "Cannot re");
    assert(error instanceof DamagedCheckpointError && !error.message.includes("\n"), `byte ${at}: ${error.message}`);
  }
  await opened(file, run);
  run.trainer.destroy();
});

test("of a run's checkpoints the newest that is whole is taken, and a note says which are not", async () => {
  const run = await open({ optim: "adamw" }), files: ByteSource[] = [];
  for (let step = 0; step < 3; step++, run.go(1)) files.unshift(await saved(run));
  const damaged = await Promise.all(
      files.map((file, i) => flipped(file, file.size - 9, 3, `checkpoint-${2 - i}.safetensors`)),
    ),
    context = contextOf(run.run);
  const openOf = async (...sources: ByteSource[]) => await openNewest(sources, run.run, context);
  const newest = await openOf(...files);
  assertEquals([newest.state.step, newest.notes], [2, []]);
  const last = await openOf(damaged[0]!, damaged[1]!, files[2]!);
  assertEquals([last.state.step, last.notes.length], [0, 2]);
  for (const [i, note] of last.notes.entries()) {
    assert(
      note.startsWith(`Cannot resume checkpoint-${2 - i}.safetensors: its tensor "`) &&
        note.endsWith("going on with the checkpoint before it"),
      note,
    );
  }
  await assertRejects(() => openOf(...damaged), "Cannot resume checkpoint-0.safetensors");
  // A checkpoint that does not fit the run is not damaged.
  await assertRejects(() => openNewest(files, run.run, { ...context, data: "other" }), "other data");
  run.trainer.destroy();
});

test("a setting that the checkpoint does not know has had its default, of a LoRA config too", async () => {
  const run = await open({ peft: "lora r=2" }),
    { config } = run.run,
    { packing: _packing, peft, ...older } = config,
    { use_rslora: _use_rslora, ...olderPeft } = peft!;
  const pieces = await Array.fromAsync(
    encodeTraining(await run.trainer.save(), { ...older, peft: olderPeft } as typeof config, contextOf(run.run)),
  );
  const file = blobSource("older.safetensors", new Blob(pieces));
  assertEquals((await opened(file, run)).state.step, 0);
  await assertRejects(
    () => opened(file, run, { config: { ...config, packing: true } }),
    'Cannot resume with "packing" true: the checkpoint was saved with false',
  );
  await assertRejects(
    () => opened(file, run, { config: { ...config, peft: { ...peft!, use_rslora: true } } }),
    'Cannot resume with "peft.use_rslora" true: the checkpoint was saved with false',
  );
  run.trainer.destroy();
});

/** Trains to the end of a run of `first` steps, and then up to STEPS in another run. */
async function trainedFurther(settings: Settings, first = SAVED) {
  const finished = await open({ ...settings, max_steps: first });
  finished.go(first);
  const file = await saved(finished);
  finished.trainer.destroy();
  const longer = await open(settings), { state, remapping, notes } = await opened(file, longer);
  assertEquals(remapping, undefined);
  longer.trainer.restore(state);
  longer.go(STEPS - first);
  const resumed = await longer.trainer.save();
  longer.trainer.destroy();
  return { resumed, notes };
}

test("a finished run is trained further to the bits of one long run, where the schedule allows it", async () => {
  const constant = { lr_scheduler_type: "constant", warmup_steps: 0 };
  for (const optim of ["adamw", "frugal", "galore", "badam"]) {
    const settings = { ...constant, optim, optim_args: { update_gap: 2 } };
    const whole = await open(settings);
    whole.go(STEPS);
    const expected = await whole.trainer.save();
    whole.trainer.destroy();
    const { resumed, notes } = await trainedFurther(settings);
    assertSame({ whole: expected, resumed });
    assertEquals(notes, [], optim);
  }
});

test("a run that is trained further says what its number of steps changes, and cannot end before it is", async () => {
  const note = async (settings: Settings): Promise<readonly string[]> => (await trainedFurther(settings)).notes;
  assertEquals(await note({ lr_scheduler_type: "cosine" }), [
    "max_steps was 3, now 7: the cosine schedule of the learning rate is that of 7 steps from here on",
  ]);
  assertEquals(await note({ lr_scheduler_type: "constant", warmup_steps: 0.5 }), [
    "max_steps was 3, now 7: the warm-up, which is a share of the steps, is that of 7 steps from here on",
  ]);
  const run = await open({}), file = await (run.go(SAVED), saved(run));
  run.trainer.destroy();
  const shorter = await open({ max_steps: SAVED - 1 });
  await assertRejects(
    () => opened(file, shorter),
    'Cannot resume with "max_steps" 2: the checkpoint has done 3 steps. Use a larger number',
  );
  shorter.trainer.destroy();
});
