// Checkpoints in runs that train something else, on another base or other data: refused with the flag named, allowed with it.

import { assert, assertEquals, assertRejects, test } from "../harness.ts";
import { contextOf, openTiny, opened, type Opening, saved } from "./checkpoints.ts";
import type { Settings } from "./tiny.ts";
import { parseConfig } from "../../src/train/config.ts";
import type { TrainingContext } from "../../src/train/training_file.ts";

const MLP = { trainable_modules: ["layers\\.0\\.mlp"] }, LAYER = { trainable_modules: ["layers\\.0\\."] }, ATTENTION = { trainable_modules: ["layers\\.0\\.self_attn"] };
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

async function refused(promise: () => Promise<unknown>, ...texts: string[]): Promise<void> {
  const error = await assertRejects(promise, "Cannot resume");
  assert(!error.message.includes("\n"), error.message);
  for (const text of texts) assert(error.message.includes(text), `no "${text}" in ${error.message}`);
}

const isMlp = (name: string): boolean => /\.mlp\./.test(name), isInLayer = (name: string): boolean => /layers\.0\./.test(name);

for (const [flag, first, second, given] of [["thaw", MLP, LAYER, { kept: 3, thawed: 6, frozen: 0 }], ["freeze_trained", LAYER, MLP, { kept: 3, thawed: 0, frozen: 6 }]] as const) {
  test(`a run that trains ${flag === "thaw" ? "more" : "less"} than its checkpoint needs --${flag}; its weights are those of the checkpoint, its moments begin anew`, async () => {
    const { file, weights } = await before(first);
    const strict = await openTiny({ ...second, ...FROM });
    await refused(() => opened(file, strict), '"trainable_modules"', `--${flag}`);
    strict.trainer.destroy();
    const wrong = await openTiny({ ...second, ...FROM, [flag === "thaw" ? "freeze_trained" : "thaw"]: true });
    await refused(() => opened(file, wrong), `Add --${flag} `, flag === "thaw" ? "has not trained model.layers.0.input_layernorm.weight" : "has trained model.layers.0.input_layernorm.weight");
    wrong.trainer.destroy();

    const run = await openTiny({ ...second, ...FROM, [flag]: true }), { state, remapping, notes } = await opened(file, run);
    const { kept, thawed, frozen } = remapping!;
    assertEquals({ kept: kept.length, thawed: thawed.length, frozen: frozen.length }, given);
    assertEquals(notes, [`resumed by name: ${given.kept} weights kept, ${given.thawed} thawed, ${given.frozen} frozen; the moments begin anew`]);
    run.trainer.restore(state, remapping);
    assertEquals([run.trainer.steps, await weightsOf(run)], [SAVED, weights], "the weights of the checkpoint, trained or not");
    for (const state of [...run.run.programs.train!.optimizer.state.values()].flat()) {
      assert((await run.trainer.executor.readWords(state)).every((word) => word === 0), `${state.label} is not new`);
    }
    run.go(2);
    const rows = await run.trainer.readMetrics(), after = await weightsOf(run), isTrained = second === MLP ? isMlp : isInLayer;
    assert(rows.every(({ loss, skipped }) => Number.isFinite(loss) && !skipped), JSON.stringify(rows));
    for (const [name, words] of after) assertEquals(words.some((word, i) => word !== weights.get(name)![i]), isTrained(name), `${name} moves`);
    run.trainer.destroy();
  });
}

test("where both are needed both flags are, and what is checkpointed next is resumed without them", async () => {
  const { file } = await before(MLP);
  for (const [flags, missing] of [[{ thaw: true }, "--freeze_trained"], [{ freeze_trained: true }, "--thaw"]] as const) {
    const run = await openTiny({ ...ATTENTION, ...FROM, ...flags });
    await refused(() => opened(file, run), missing);
    run.trainer.destroy();
  }
  const run = await openTiny({ ...ATTENTION, ...FROM, thaw: true, freeze_trained: true }), { state, remapping } = await opened(file, run);
  run.trainer.restore(state, remapping);
  run.go(1);
  const next = await saved(run);
  run.go(2);
  const whole = await weightsOf(run);
  run.trainer.destroy();
  // What the checkpoint freezes is not in it: it is for whoever loads the model's own weights to write.
  const again = await openTiny({ ...ATTENTION, ...FROM }), exact = await opened(next, again);
  assertEquals([exact.remapping, exact.notes, exact.state.step], [undefined, [], SAVED + 1]);
  for (const name of whole.keys()) assertEquals(exact.state.tensors.has(name), /self_attn/.test(name), `${name} is in the checkpoint`);
  again.trainer.destroy();
});

test("adapters count as what is trained: more of them need --thaw, and their rank stays", async () => {
  const { file } = await before({ peft: "lora r=2" });
  const run = await openTiny({ ...FROM, peft: "lora r=2 target_modules=q_proj,k_proj,v_proj" });
  await refused(() => opened(file, run), '"peft"', "--thaw");
  run.trainer.destroy();
  const wider = await openTiny({ ...FROM, thaw: true, peft: "lora r=2 target_modules=q_proj,k_proj,v_proj" }), { state, remapping } = await opened(file, wider);
  assertEquals([remapping!.kept.length, remapping!.thawed, remapping!.frozen], [4, ["model.layers.0.self_attn.k_proj.lora_A.weight", "model.layers.0.self_attn.k_proj.lora_B.weight"], []]);
  wider.trainer.restore(state, remapping);
  wider.trainer.destroy();
  const ranks = await openTiny({ ...FROM, thaw: true, peft: "lora r=4" });
  await refused(() => opened(file, ranks), '"model.layers.0.self_attn.q_proj.lora_A.weight" is (2,16) f32 in the checkpoint, (4,16) f32 in this run');
  ranks.trainer.destroy();
});

test("the flags are refused in a run that resumes nothing", async () => {
  for (const flag of ["thaw", "freeze_trained"]) await assertRejects(async () => parseConfig({ [flag]: true }), `Cannot use "${flag}" without "resume_from_checkpoint"`);
});

const baseOf = (sha256: string, name = "hub/model"): TrainingContext["base"] => ({ name, files: [{ name: "model.safetensors", bytes: 1000, sha256 }] });

test("another base is refused by its hash, whatever its name; --ignore_base_hash goes on and says so", async () => {
  const run = await openTiny({ peft: "lora r=2" }), [ours, theirs] = ["a1b2c3d4e5f60718", "00ff00ff00ff00ff"];
  run.go(SAVED);
  const file = await saved(run, contextOf(run.run, baseOf(ours))), plain = await saved(run);
  assertEquals((await opened(file, run, { context: contextOf(run.run, baseOf(ours, "elsewhere/copy")) })).notes, []);
  const others = [[baseOf(theirs), "this run has hub/model (sha256 00ff00ff00ff…)"], [null, "this run has none"], [{ name: "hub/model", files: [...baseOf(ours)!.files, ...baseOf(theirs)!.files] }, "hub/model"]] as const;
  for (const [base, text] of others) {
    const context = contextOf(run.run, base as TrainingContext["base"]);
    await refused(() => opened(file, run, { context }), "the checkpoint was trained on hub/model (sha256 a1b2c3d4e5f6…)", text, "Give the same --model, or add --ignore_base_hash");
    const { state, remapping, notes } = await opened(file, run, { context, config: { ...run.run.config, ignore_base_hash: true } });
    assert(notes.length === 1 && notes[0]!.includes("going on all the same") && notes[0]!.includes(text), notes.join());
    assertEquals([state.step, remapping], [SAVED, undefined]);
  }
  await refused(() => opened(plain, run, { context: contextOf(run.run, baseOf(ours)) }), "the checkpoint was trained on no pretrained model", "--ignore_base_hash");
  run.trainer.destroy();
});

test("other data is refused", async () => {
  const run = await openTiny({}), file = await saved(run);
  await refused(() => opened(file, run, { context: { base: null, data: "0".repeat(64) } }), "it was trained on other data. Give the dataset that it was saved with");
  run.trainer.destroy();
});
