// Adapters as PEFT writes them: saved, read and loaded beside their base.

import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { randomValues, SMALL, someNumbers } from "../../models/small_models.ts";
import { collect, json, openModel, type SavedFolder, withValues } from "./folders.ts";
import {
  adapterFiles,
  type AdapterToSave,
  loadAdapter,
  readAdapterConfig,
} from "../../../src/checkpoint/model/peft_adapter.ts";
import { openCheckpoint } from "../../../src/checkpoint/safetensors/reader.ts";
import { filesFolder } from "../../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../../src/checkpoint/source/source.ts";
import { freeze } from "../../../src/models/freeze.ts";
import { type LoraConfig, withLora } from "../../../src/models/lora.ts";
import type { Model } from "../../../src/models/architecture.ts";
import { createModel } from "../../../src/models/model.ts";
import type { Floats } from "../../ops/run_recorded.ts";

const LORA: LoraConfig = {
  r: 2,
  lora_alpha: 6,
  lora_dropout: 0.25,
  target_modules: null,
  modules_to_save: [],
  use_rslora: false,
};

function adapted(
  family: keyof typeof SMALL,
  lora: LoraConfig,
  whole = /^$/,
): { model: Model; values: Map<string, Floats> } {
  const trains = (label: string): boolean => /\.lora_[AB]\./.test(label) || whole.test(label);
  const model = freeze(withLora(createModel(SMALL[family]), lora), {
    trains: ({ value }) => trains(value.label),
    storedAs: () => "bf16",
    quantized: undefined,
  });
  const values = randomValues(model, 1);
  for (const { value: { label, shape } } of model.parameters) {
    if (label.includes("lora_B")) values.set(label, someNumbers(shape, 8));
  }
  return { model, values };
}

async function saveAdapter(
  family: keyof typeof SMALL,
  lora: LoraConfig,
  { whole, ...saved }: Partial<AdapterToSave> & { whole?: RegExp } = {},
): Promise<SavedFolder> {
  const { model, values } = adapted(family, lora, whole), trainer = await openModel(model, withValues(values));
  const result = await collect(
    adapterFiles({ model, config: lora, base: "some/base", revision: null, ...saved }, trainer.executor),
    "adapter",
  );
  trainer.destroy();
  return result;
}

const parse = async ({ files }: SavedFolder): Promise<Record<string, unknown>> =>
  JSON.parse(await files.get("adapter_config.json")!.text()) as Record<string, unknown>;

test("adapter_config.json has PEFT's keys, and says the same again when it is read", async () => {
  for (
    const [family, task_type, target_modules, fan_in_fan_out] of [["llama", "CAUSAL_LM", ["q_proj", "v_proj"], false], [
      "gpt2",
      "CAUSAL_LM",
      ["c_attn"],
      true,
    ], ["roberta", "SEQ_CLS", ["query", "value"], false]] as const
  ) {
    const saved = await saveAdapter(family, LORA, { revision: "v2" });
    assertEquals(await parse(saved), {
      peft_type: "LORA",
      task_type,
      base_model_name_or_path: "some/base",
      revision: "v2",
      r: 2,
      lora_alpha: 6,
      lora_dropout: 0.25,
      target_modules,
      modules_to_save: null,
      use_rslora: false,
      fan_in_fan_out,
      bias: "none",
      init_lora_weights: true,
      inference_mode: true,
    });
    assertEquals(await readAdapterConfig(saved.folder), { ...LORA, target_modules: [...target_modules] });
  }
  const given = { ...LORA, use_rslora: true, target_modules: ".*\\.(up|down)_proj", modules_to_save: ["norm"] };
  assertEquals(await readAdapterConfig((await saveAdapter("llama", given, { whole: /^model\.norm\./ })).folder), given);
});

test(
  "saved and loaded into a model with the same base, every number of an adapter has its bits, modules that are " +
    "saved with it too",
  async () => {
    for (const family of ["llama", "gpt2", "roberta"] as const) {
      const head = family === "roberta" ? /^classifier\./ : /^(?:model\.norm|transformer\.ln_f)\./,
        lora = { ...LORA, modules_to_save: family === "roberta" ? [] : ["norm", "ln_f"] };
      const { folder } = await saveAdapter(family, lora, { whole: head }),
        { model, values } = adapted(family, lora, head);
      const names = [...(await openCheckpoint(folder, "adapter_model.safetensors")).tensors.keys()],
        trained = model.parameters.filter(({ needsGradient }) => needsGradient);
      assertEquals(names.sort(), trained.map(({ value }) => `base_model.model.${value.label}`).sort());
      const zeros = new Map([...values].map(([name, numbers]) => [name, new Float32Array(numbers.length)])),
        trainer = await openModel(model, withValues(zeros));
      const loaded = await loadAdapter(trainer.executor, model, folder);
      assertEquals(
        new Set([...loaded].map(({ value }) => value.label)),
        new Set(trained.map(({ value }) => value.label)),
      );
      for (const parameter of model.parameters) {
        const { label } = parameter.value, expected = parameter.needsGradient ? values.get(label)! : zeros.get(label)!;
        assertEquals(await trainer.executor.read(parameter.value), expected, label);
      }
      trainer.destroy();
    }
  },
);

test("an adapter of another model, rank or of more layers is refused in one line with what does not fit", async () => {
  const { folder } = await saveAdapter("llama", LORA);
  const refused = async (family: keyof typeof SMALL, lora: LoraConfig, text: string): Promise<void> => {
    const { model, values } = adapted(family, lora), trainer = await openModel(model, withValues(values));
    const { message } = await assertRejects(
      () => loadAdapter(trainer.executor, model, folder),
      "Cannot load the adapter adapter: ",
    );
    assert(message.includes(text) && !message.includes("\n"), message);
    trainer.destroy();
  };
  await refused(
    "llama",
    { ...LORA, r: 3 },
    '"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" is (2,16), expected (3,16)',
  );
  await refused(
    "llama",
    { ...LORA, target_modules: ["q_proj"] },
    '"base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight" belongs to nothing that is adapted',
  );
  await refused(
    "llama",
    { ...LORA, target_modules: ["q_proj", "k_proj", "v_proj"] },
    'it has no "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight"',
  );
  await refused("gpt2", LORA, "Use it with the model that it was trained on");
});

test("a folder that is no adapter, or one that computes something else, is refused in one line", async () => {
  const config = await parse(await saveAdapter("llama", LORA));
  const folder = (changes: object | null): Folder =>
    filesFolder(
      "adapter",
      new Map(changes ? [["adapter_config.json", new Blob([json({ ...config, ...changes })])]] : []),
    );
  const cases: readonly (readonly [object | null, string])[] = [
    [null, "Cannot load the adapter adapter: it has no adapter_config.json"],
    [{ peft_type: "IA3" }, '"peft_type" is "IA3", expected "LORA"'],
    [{ use_dora: true }, '"use_dora" is true, expected false'],
    [{ bias: "all" }, '"bias" is "all", expected "none"'],
    [{ init_lora_weights: "pissa" }, '"init_lora_weights" is "pissa", expected true'],
    [{ layers_to_transform: [1] }, '"layers_to_transform" is [1], expected null'],
    [{ rank_pattern: { q_proj: 4 } }, '"rank_pattern" is {"q_proj":4}, expected {}'],
    [{ r: 0 }, '"r" is 0, expected a whole number above 0'],
    [{ r: 2.5 }, '"r" is 2.5, expected a whole number above 0'],
    [{ lora_alpha: "6" }, '"lora_alpha" is "6", expected a number, 0 or more'],
    [{ target_modules: [1] }, '"target_modules" is [1], expected a list of names or a regular expression'],
    [{ modules_to_save: "norm" }, '"modules_to_save" is "norm", expected a list of names'],
  ];
  for (const [changes, includes] of cases) {
    const error = await assertRejects(() => readAdapterConfig(folder(changes)), includes);
    assert(error instanceof RangeError && !error.message.includes("\n"), error.message);
  }
  assertEquals(
    await readAdapterConfig(folder({ use_dora: false, rank_pattern: {}, lora_bias: false, unknown_key: 5 })),
    { ...LORA, target_modules: ["q_proj", "v_proj"] },
  );
});
