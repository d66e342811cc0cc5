// Checkpoints in runs that train something else, on another base or other data: refused with the flag named, allowed
// with it.

import { assert, assertEquals, assertRejects, assertThrows, test } from "../../harness.ts";
import { contextOf, opened, type Opening, openRun, openTiny, saved } from "./checkpoints.ts";
import { prepareTiny, type Settings } from "../../train/tiny.ts";
import type { ByteSource } from "../../../src/checkpoint/source/source.ts";
import { pack, unpack } from "../../../src/gpu/formats/index.ts";
import { LLAMA } from "../../../src/models/llama.ts";
import { type LlamaConfig, llamaJson } from "../../../src/models/llama_config.ts";
import type { WeightType } from "../../../src/models/parameter.ts";
import { size } from "../../../src/plan/tensor.ts";
import { parseConfig } from "../../../src/recipe/config/config.ts";
import { checkWeights, type LayoutEntry } from "../../../src/train/layout.ts";
import { prepareRun } from "../../../src/recipe/run.ts";
import type { TrainingContext } from "../../../src/recipe/training_file.ts";
import { testGpu } from "../../test_gpu.ts";

const MLP = { trainable_modules: ["layers\\.0\\.mlp"] },
  LAYER = { trainable_modules: ["layers\\.0\\."] },
  ATTENTION = { trainable_modules: ["layers\\.0\\.self_attn"] };
const FROM = { resume_from_checkpoint: "runs/before" };
const SAVED = 3;

/** A run of three steps, as its file and the words of its weights, and nothing on the device. */
async function before(settings: Settings, context?: TrainingContext) {
  const run = await openTiny(settings);
  run.go(SAVED);
  const file = await saved(run, context), weights = await weightsOf(run);
  run.trainer.destroy();
  return { file, weights };
}

async function weightsOf({ run, trainer }: Opening): Promise<Map<string, Uint32Array>> {
  const words = new Map<string, Uint32Array>();
  for (const { value } of run.model.parameters) words.set(value.label, await trainer.executor.readWords(value));
  return words;
}

async function refused(promise: () => Promise<unknown>, ...texts: string[]): Promise<string> {
  const error = await assertRejects(promise, "Cannot resume");
  assert(!error.message.includes("\n"), error.message);
  for (const text of texts) assert(error.message.includes(text), `no "${text}" in ${error.message}`);
  return error.message;
}

const isMlp = (name: string): boolean => /\.mlp\./.test(name),
  isInLayer = (name: string): boolean => /layers\.0\./.test(name);

for (
  const [flag, first, second, given] of [["thaw", MLP, LAYER, { kept: 3, thawed: 6, frozen: 0 }], [
    "freeze_trained",
    LAYER,
    MLP,
    { kept: 3, thawed: 0, frozen: 6 },
  ]] as const
) {
  test(
    `a run that trains ${flag === "thaw" ? "more" : "less"} than its checkpoint needs --${flag}; its weights are ` +
      "those of the checkpoint, its moments begin anew",
    async () => {
      const { file, weights } = await before(first);
      const strict = await openTiny({ ...second, ...FROM });
      await refused(() => opened(file, strict), '"trainable_modules"', `--${flag}`);
      strict.trainer.destroy();
      const wrong = await openTiny({ ...second, ...FROM, [flag === "thaw" ? "freeze_trained" : "thaw"]: true });
      await refused(
        () => opened(file, wrong),
        `Add --${flag} `,
        flag === "thaw"
          ? "has not trained model.layers.0.input_layernorm.weight"
          : "has trained model.layers.0.input_layernorm.weight",
      );
      wrong.trainer.destroy();

      const run = await openTiny({ ...second, ...FROM, [flag]: true }),
        { state, remapping, notes } = await opened(file, run);
      const { kept, thawed, frozen } = remapping!;
      assertEquals({ kept: kept.length, thawed: thawed.length, frozen: frozen.length }, given);
      assertEquals(notes, [
        `resumed by name: ${given.kept} weights kept, ${given.thawed} thawed, ${given.frozen} frozen; the moments ` +
        "begin anew",
      ]);
      run.trainer.restore(state, remapping);
      assertEquals(
        [run.trainer.steps, await weightsOf(run)],
        [SAVED, weights],
        "the weights of the checkpoint, trained or not",
      );
      for (const state of [...run.run.programs.train!.optimizer.state.values()].flat()) {
        assert((await run.trainer.executor.readWords(state)).every((word) => word === 0), `${state.label} is not new`);
      }
      run.go(2);
      const rows = await run.trainer.readMetrics(),
        after = await weightsOf(run),
        isTrained = second === MLP ? isMlp : isInLayer;
      assert(rows.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped), JSON.stringify(rows));
      for (const [name, words] of after) {
        assertEquals(words.some((word, i) => word !== weights.get(name)![i]), isTrained(name), `${name} moves`);
      }
      run.trainer.destroy();
    },
  );
}

for (const optim of ["adamw", "frugal", "frugal_blocks", "galore", "fira", "badam"]) {
  test(
    `${optim}: the first step after a thaw draws subspaces and begins the moments, however ` +
      "long the gap",
    async () => {
      const settings = { optim, optim_args: { update_gap: 50 }, max_steps: 60 },
        { file, weights } = await before({ ...settings, ...MLP });
      const run = await openTiny({ ...settings, ...LAYER, ...FROM, thaw: true }),
        { state, remapping } = await opened(file, run);
      run.trainer.restore(state, remapping);
      run.go(1);
      const { switching } = await run.trainer.save();
      assertEquals(
        [switching.begun, switching.restarted, ...switching.phases.map(({ drawn, index }) => [drawn, index])],
        [SAVED, SAVED, [SAVED, 0]],
      );
      run.go(2);
      for (const state of new Set([...run.run.programs.train!.optimizer.state.values()].flat())) {
        assert((await run.trainer.executor.readWords(state)).some((word) => word !== 0), `${state.label} is zero`);
      }
      const rows = await run.trainer.readMetrics(), after = await weightsOf(run);
      assert(
        rows.length > 0 && rows.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped),
        JSON.stringify(rows),
      );
      for (const [name, words] of after) {
        assertEquals(words.some((word, i) => word !== weights.get(name)![i]), isInLayer(name), `${name} moves`);
      }
      run.trainer.destroy();
    },
  );
}

/** A run on a base whose files hold matrices as `stored`. */
async function openStored(stored: WeightType, settings: Settings): Promise<Opening> {
  const gpu = await testGpu(), { config, tokenizer, data, model } = prepareTiny(gpu, settings);
  const base = { architecture: LLAMA, json: llamaJson(model.config as LlamaConfig), storedAs: () => stored };
  return await openRun(prepareRun(config, { tokenizer, data, base }, gpu.target));
}

/** The numbers of tensors in a checkpoint. */
async function numbersIn(
  file: ByteSource,
  run: Opening,
  names: Iterable<string>,
): Promise<Map<string, Float32Array<ArrayBuffer>>> {
  const { state } = await opened(file, run);
  return new Map(
    [...names].map((name) => [name, unpack("f32", state.tensors.get(name)!, state.tensors.get(name)!.length)]),
  );
}

for (
  const [name, stored, own] of [["bf16", "bf16", {}], ["f16", "f16", {}], ["int8", "f32", { load_in_8bit: true }], [
    "nf4",
    "bf16",
    { load_in_4bit: true },
  ]] as const
) {
  test(`what is frozen beside a base in ${name} is rounded to it, but checkpointed as it was trained`, async () => {
    const open = (settings: Settings) => openStored(stored, { ...own, ...settings });
    const first = await open(LAYER);
    first.go(SAVED);
    const file = await saved(first),
      second = await open({ ...MLP, ...FROM, freeze_trained: true }),
      { state, remapping } = await opened(file, second);
    const trainedBeforeFreeze = await numbersIn(file, first, remapping!.frozen);
    second.trainer.restore(state, remapping);
    const frozen = second.run.model.parameters.filter(({ value }) => trainedBeforeFreeze.has(value.label));
    assertEquals(frozen.length, 6);
    for (const { value } of frozen) {
      assertEquals(value.type === name, value.shape.length === 2, `${value.label} is ${value.type}`);
      assertEquals(
        await second.trainer.executor.readWords(value),
        pack(value.type as WeightType, trainedBeforeFreeze.get(value.label)!),
        value.label,
      );
    }
    second.go(1);
    const next = await saved(second);
    second.go(2);

    const third = await open({ ...MLP, ...FROM }), exact = await opened(next, third);
    assertEquals([exact.remapping, exact.notes], [undefined, []]);
    third.trainer.restore(exact.state);
    third.go(2);
    assertEquals(await weightsOf(third), await weightsOf(second), "a resumed run has lost what was learnt");
    // A third run trains on from there, not from what was rounded.
    const last = await open({ ...LAYER, ...FROM, thaw: true }), thawed = await opened(await saved(third), last);
    assertEquals([thawed.remapping!.kept.length, thawed.remapping!.thawed.length, thawed.remapping!.frozen], [
      3,
      6,
      [],
    ]);
    last.trainer.restore(thawed.state, thawed.remapping);
    for (const { value } of last.run.model.parameters) {
      if (trainedBeforeFreeze.has(value.label)) {
        assertEquals(
          unpack("f32", await last.trainer.executor.readWords(value), size(value)),
          trainedBeforeFreeze.get(value.label)!,
          value.label,
        );
      }
    }
    for (const { trainer } of [first, second, third, last]) trainer.destroy();
  });
}

test("where both are needed both flags are, and what is checkpointed next is resumed without them", async () => {
  const { file } = await before(MLP);
  for (
    const [flags, missing] of [[{ thaw: true }, "--freeze_trained"], [{ freeze_trained: true }, "--thaw"]] as const
  ) {
    const run = await openTiny({ ...ATTENTION, ...FROM, ...flags });
    await refused(() => opened(file, run), missing);
    run.trainer.destroy();
  }
  const run = await openTiny({ ...ATTENTION, ...FROM, thaw: true, freeze_trained: true }),
    { state, remapping } = await opened(file, run);
  run.trainer.restore(state, remapping);
  run.go(1);
  const next = await saved(run);
  run.go(2);
  const whole = await weightsOf(run);
  run.trainer.destroy();
  // Weights that were trained and are frozen now are in it, others are not: it is for whoever loads the model's own
  // weights to write.
  const again = await openTiny({ ...ATTENTION, ...FROM }), exact = await opened(next, again);
  assertEquals([exact.remapping, exact.notes, exact.state.step], [undefined, [], SAVED + 1]);
  for (const name of whole.keys()) {
    assertEquals(exact.state.tensors.has(name), /self_attn|mlp/.test(name), `${name} is in the checkpoint`);
  }
  again.trainer.restore(exact.state);
  again.go(2);
  assertEquals(await weightsOf(again), whole);
  again.trainer.destroy();
});

test("adapters count as what is trained: more of them need --thaw, and their rank stays", async () => {
  const { file } = await before({ peft: "lora r=2" });
  const run = await openTiny({ ...FROM, peft: "lora r=2 target_modules=q_proj,k_proj,v_proj" });
  await refused(() => opened(file, run), '"peft.target_modules"', "--thaw");
  run.trainer.destroy();
  const wider = await openTiny({ ...FROM, thaw: true, peft: "lora r=2 target_modules=q_proj,k_proj,v_proj" }),
    { state, remapping } = await opened(file, wider);
  assertEquals([remapping!.kept.length, remapping!.thawed, remapping!.frozen], [4, [
    "model.layers.0.self_attn.k_proj.lora_A.weight",
    "model.layers.0.self_attn.k_proj.lora_B.weight",
  ], []]);
  wider.trainer.restore(state, remapping);
  wider.trainer.destroy();
  const ranks = await openTiny({ ...FROM, thaw: true, peft: "lora r=4" });
  await refused(() => opened(file, ranks), 'Cannot resume with "peft.r" 4: the checkpoint was saved with 2');
  ranks.trainer.destroy();
});

test("a weight of another shape or type has no place, unless it is frozen: then its type may be another", () => {
  const entry = (
    role: LayoutEntry["role"],
    shape: number[],
    type: LayoutEntry["type"],
  ): LayoutEntry[] => [{ name: "w", shape, type, role }];
  const saved = entry("trainable", [2, 16], "f32");
  assertThrows(
    () => checkWeights(saved, entry("trainable", [4, 16], "f32")),
    'Cannot resume: "w" is (2,16) f32 in the checkpoint, (4,16) f32 in this run',
  );
  assertThrows(
    () => checkWeights(saved, entry("trainable", [2, 16], "bf16")),
    '"w" is (2,16) f32 in the checkpoint, (2,16) bf16 in this run',
  );
  assertThrows(
    () => checkWeights(saved, entry("frozen", [4, 16], "nf4")),
    '"w" is (2,16) f32 in the checkpoint, (4,16) nf4 in this run',
  );
  checkWeights(saved, entry("frozen", [2, 16], "nf4"));
});

test("both flags leave what else a LoRA config says as it was", async () => {
  const { file } = await before({ peft: "lora r=2" });
  for (
    const [key, value, was] of [["lora_alpha", 32, 8], ["lora_dropout", 0.5, 0], ["use_rslora", true, false]] as const
  ) {
    const run = await openTiny({ ...FROM, thaw: true, freeze_trained: true, peft: { r: 2, [key]: value } });
    const message = await refused(
      () => opened(file, run),
      `Cannot resume with "peft.${key}" ${value}: the checkpoint was saved with ${was}`,
    );
    assert(!message.includes("--thaw"), message);
    run.trainer.destroy();
  }
});

test("weights that the run's model does not have are refused before any flag is recommended", async () => {
  const { file } = await before({ peft: "lora r=2" }),
    dropped = "the checkpoint has trained model.layers.0.self_attn.q_proj.lora_A.weight, ";
  for (const settings of [MLP, { peft: "lora r=2 target_modules=v_proj" }]) {
    for (const flags of [{}, { thaw: true, freeze_trained: true }]) {
      const run = await openTiny({ ...FROM, ...settings, ...flags });
      const message = await refused(
        () => opened(file, run),
        dropped,
        "which this run's model does not have",
      );
      assert(!message.includes("--"), message);
      run.trainer.destroy();
    }
  }
});

test("the flags are refused in a run that resumes nothing", async () => {
  for (const flag of ["thaw", "freeze_trained"]) {
    await assertRejects(
      async () => parseConfig({ [flag]: true }),
      `Cannot use "${flag}" without "resume_from_checkpoint"`,
    );
  }
});

const baseOf = (sha256: string, name = "hub/model"): NonNullable<TrainingContext["base"]> => ({
  name,
  files: [{ name: "model.safetensors", bytes: 1000, sha256 }],
});

test("another base is refused by its hash, whatever its name; --ignore_base_hash goes on and says so", async () => {
  const run = await openTiny({ peft: "lora r=2" }), [ours, theirs] = ["a1b2c3d4e5f60718", "00ff00ff00ff00ff"];
  run.go(SAVED);
  const file = await saved(run, contextOf(run.run, baseOf(ours))), plain = await saved(run);
  assertEquals((await opened(file, run, { context: contextOf(run.run, baseOf(ours, "elsewhere/copy")) })).notes, []);
  const others = [[baseOf(theirs), "this run has hub/model (model.safetensors of sha256 00ff00ff00ff…)"], [
    null,
    "this run has none",
  ], [{ name: "hub/model", files: [] }, "this run has hub/model (no model.safetensors)"]] as const;
  for (const [base, text] of others) {
    const context = contextOf(run.run, base as TrainingContext["base"]);
    await refused(
      () => opened(file, run, { context }),
      "the checkpoint was trained on hub/model (model.safetensors of sha256 a1b2c3d4e5f6…)",
      text,
      "Give the same --model, or add --ignore_base_hash",
    );
    const { state, remapping, notes } = await opened(file, run, {
      context,
      config: { ...run.run.config, ignore_base_hash: true },
    });
    assert(notes.length === 1 && notes[0]!.includes("going on all the same") && notes[0]!.includes(text), notes.join());
    assertEquals([state.step, remapping], [SAVED, undefined]);
  }
  await refused(
    () => opened(plain, run, { context: contextOf(run.run, baseOf(ours)) }),
    "the checkpoint was trained on no pretrained model",
    "--ignore_base_hash",
  );
  run.trainer.destroy();
});

test("so is another config.json, tokenizer, chat template or adapter beside the same weights", async () => {
  const run = await openTiny({ peft: "lora r=2" }),
    names = ["config.json", "tokenizer.json", "chat_template.jinja", "adapter_model.safetensors"];
  const withTexts = (texts: readonly string[]): TrainingContext => {
    const base = baseOf("0123456789ab");
    return contextOf(run.run, {
      ...base,
      files: [...base.files, ...texts.map((sha256, i) => ({ name: names[i]!, bytes: 10, sha256 }))],
    });
  };
  const texts = ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc", "dddddddddddd"],
    file = await saved(run, withTexts(texts));
  assertEquals((await opened(file, run, { context: withTexts(texts) })).notes, []);
  for (const [i, name] of names.entries()) {
    const context = withTexts(texts.with(i, "eeeeeeeeeeee")), setting = i === 3 ? "--adapter" : "--model";
    await refused(
      () => opened(file, run, { context }),
      `(${name} of sha256 ${texts[i]}…)`,
      `(${name} of sha256 eeeeeeeeeeee…)`,
      `Give the same ${setting}, or add --ignore_base_hash`,
    );
  }
  await refused(
    () => opened(file, run, { context: withTexts(texts.slice(0, 2)) }),
    "this run has hub/model (no chat_template.jinja)",
  );
  run.trainer.destroy();
});

test("other data is refused", async () => {
  const run = await openTiny({}), file = await saved(run);
  await refused(
    () => opened(file, run, { context: { base: null, data: "0".repeat(64) } }),
    "it was trained on other data. Give the dataset that it was saved with",
  );
  run.trainer.destroy();
});
