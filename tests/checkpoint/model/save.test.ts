// Models that are saved come back from their files.

import { assert, assertClose, assertEquals, test } from "../../harness.ts";
import { randomValues, SMALL, someNumbers } from "../../models/small_models.ts";
import { judge, type OpenedModel, openModel, saveModel, withValues } from "./folders.ts";
import { loadWeights } from "../../../src/checkpoint/model/load.ts";
import { openPretrained } from "../../../src/checkpoint/model/pretrained.ts";
import { filesFolder } from "../../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../../src/checkpoint/source/source.ts";
import { trainBPE } from "../../../src/tokenizer/bpe_train.ts";
import { ByteTokenizer } from "../../../src/tokenizer/tokenizer.ts";
import { pack, unpack } from "../../../src/gpu/formats/index.ts";
import { LLAMA } from "../../../src/models/llama.ts";
import { llamaJson, parseLlamaConfig } from "../../../src/models/llama_config.ts";
import { freeze } from "../../../src/models/freeze.ts";
import { withLora } from "../../../src/models/lora.ts";
import type { Model } from "../../../src/models/architecture.ts";
import { createModel } from "../../../src/models/model.ts";
import type { WeightType } from "../../../src/models/parameter.ts";
import { size } from "../../../src/plan/tensor.ts";

const FAMILIES = ["llama", "tied", "qwen2", "qwen3", "gpt2", "roberta", "bert"] as const;
const classifies = (model: Model): boolean => model.head.task === "SEQ_CLS";

/** The model of a folder, with its weights on the device, everything frozen as the files have it. */
async function load(folder: Folder): Promise<{ model: Model; trainer: OpenedModel }> {
  const { json, weights, storedAs } = await openPretrained(folder);
  const model = freeze(createModel(json), { trains: () => false, storedAs, quantized: undefined });
  return { model, trainer: await openModel(model, (executor, model) => loadWeights(executor, model, weights)) };
}

const wordsOf = ({ executor }: OpenedModel, model: Model) =>
  Promise.all(model.parameters.map(async ({ value }) => [value.label, await executor.readWords(value)] as const));

for (const family of FAMILIES) {
  test(`${family}: saved and loaded, every weight has its bits and the loss is the same`, async () => {
    const json = SMALL[family],
      model = createModel(json),
      trainer = await openModel(model, withValues(randomValues(model, 1)));
    const { folder, files } = await saveModel(trainer, { model, json });
    assertEquals([...files.keys()], ["config.json", "model.safetensors"]);
    const pretrained = await openPretrained(folder), { tensors } = pretrained.weights;
    assertEquals([...tensors.keys()].sort(), model.parameters.map(({ value }) => value.label).sort());
    for (const { value } of model.parameters) assertEquals(tensors.get(value.label)!.shape, value.shape, value.label);
    assertEquals([pretrained.tokenizer, pretrained.generation, pretrained.isNew.size], [null, null, 0]);
    const loaded = await load(folder);
    assertEquals(loaded.model.config, model.config);
    assertEquals(await wordsOf(loaded.trainer, loaded.model), await wordsOf(trainer, model));
    assertEquals(await judge(loaded.trainer, classifies(model)), await judge(trainer, classifies(model)));
    for (const one of [trainer, loaded.trainer]) one.destroy();
  });
}

for (const [format, dtype] of [["bf16", "BF16"], ["f16", "F16"]] as const) {
  test(`frozen weights in ${format} are saved as they are, bit for bit, what is trained in f32`, async () => {
    for (const family of ["tied", "gpt2"] as const) {
      const json = { ...SMALL[family], dtype: "float16" },
        trains = (label: string): boolean => /\.1\.|norm|ln_/.test(label);
      const model = freeze(createModel(json), {
        trains: ({ value }) => trains(value.label),
        storedAs: () => format,
        quantized: undefined,
      });
      const trainer = await openModel(model, withValues(randomValues(model, 2))),
        { folder, files } = await saveModel(trainer, { model, json });
      const { weights, storedAs } = await openPretrained(folder);
      for (const { value: { label, shape } } of model.parameters) {
        const isStored = !trains(label) && shape.length === 2;
        assertEquals([label, weights.tensors.get(label)!.dtype, storedAs(label)], [
          label,
          isStored ? dtype : "F32",
          isStored ? format : "f32",
        ]);
      }
      const config = JSON.parse(await files.get("config.json")!.text()) as Record<string, unknown>;
      assertEquals([config["dtype"], config["torch_dtype"]], ["float32", "float32"], "the widest of its types");
      const again = await load(folder);
      assertEquals(await wordsOf(again.trainer, again.model), await wordsOf(trainer, model));
      for (const one of [trainer, again.trainer]) one.destroy();
    }
  });
}

for (const quantized of ["int8", "nf4"] as const) {
  test(`weights in ${quantized} are saved as the numbers that they stand for`, async () => {
    const json = SMALL.llama, values = randomValues(createModel(json), 3);
    const model = freeze(createModel(json), { trains: () => false, storedAs: () => "f32", quantized });
    const trainer = await openModel(model, withValues(values)), { folder } = await saveModel(trainer, { model, json });
    const again = await load(folder), found = new Map(await wordsOf(again.trainer, again.model));
    for (const { value } of model.parameters) {
      const type = value.type as WeightType, numbers = values.get(value.label)!;
      assertEquals(type, value.shape.length === 2 && /_proj/.test(value.label) ? quantized : "f32", value.label);
      assertEquals(
        new Float32Array(found.get(value.label)!.buffer),
        unpack(type, pack(type, numbers), size(value)),
        value.label,
      );
    }
    for (const one of [trainer, again.trainer]) one.destroy();
  });
}

for (const family of ["llama", "gpt2", "roberta"] as const) {
  test(
    `${family}: adapters are saved merged, under the names of the base, and score there what they ` +
      "scored beside it",
    async () => {
      const json = SMALL[family],
        lora = {
          r: 3,
          lora_alpha: 6,
          lora_dropout: 0,
          target_modules: "all-linear",
          modules_to_save: [],
          use_rslora: true,
        };
      const plain = createModel(json), model = withLora(plain, lora), values = randomValues(model, 4);
      for (const { value: { label, shape } } of model.parameters) {
        if (label.includes("lora_B")) values.set(label, someNumbers(shape, 5));
      }
      const trainer = await openModel(model, withValues(values)),
        { folder } = await saveModel(trainer, { model, json });
      assertEquals(
        [...(await openPretrained(folder)).weights.tensors.keys()].sort(),
        plain.parameters.map(({ value }) => value.label).sort(),
      );
      const merged = await load(folder),
        base = await openModel(plain, withValues(values)),
        isClassifier = classifies(plain);
      const [own, saved, without] = [
        await judge(trainer, isClassifier),
        await judge(merged.trainer, isClassifier),
        await judge(base, isClassifier),
      ];
      // The merged weight is rounded once, to 6e-8 of it, where the adapter's sums are rounded on their own.
      assertClose([saved.eval_loss], [own.eval_loss], { name: "loss", relative: 1e-5 });
      assert(Math.abs(own.eval_loss - without.eval_loss) > 1e-3, "the adapters make no difference");
      for (const one of [trainer, merged.trainer, base]) one.destroy();
    },
  );
}

test("factors are saved as their products", async () => {
  const config = parseLlamaConfig(SMALL.llama),
    model = LLAMA.create(config, { type: "f32", factors: { rank: 4, alpha: 8 } });
  const trainer = await openModel(model, withValues(randomValues(model, 6))),
    { folder } = await saveModel(trainer, { model, json: llamaJson(config) });
  const again = await load(folder);
  assertEquals(again.model.config, config);
  const [own, saved] = [await judge(trainer), await judge(again.trainer)];
  // As of merged adapters.
  assertClose([saved.eval_loss], [own.eval_loss], { name: "loss", relative: 1e-5 });
  for (const one of [trainer, again.trainer]) one.destroy();
});

test("config.json has what transformers 4 and 5 read, and what else it came with", async () => {
  const config = parseLlamaConfig({ ...SMALL.llama, rope_theta: 5000, attention_bias: true }),
    made = LLAMA.create(config, { type: "f32" });
  const trainer = await openModel(made, withValues(randomValues(made, 1)));
  const read = async (json: Readonly<Record<string, unknown>>) =>
    JSON.parse(await (await saveModel(trainer, { model: made, json })).files.get("config.json")!.text()) as Record<
      string,
      unknown
    >;
  const own = await read(llamaJson(config));
  for (
    const [key, value] of Object.entries({
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_act: "silu",
      max_position_embeddings: 24,
      rope_theta: 5000,
      attention_bias: true,
      torch_dtype: "float32",
      dtype: "float32",
      vocab_size: 37,
      head_dim: 4,
    })
  ) {
    assertEquals(own[key], value, key);
  }
  const given = await read({
    ...llamaJson(config),
    transformers_version: "4.9",
    torch_dtype: "float16",
    quantization_config: { bits: 8 },
  });
  assertEquals([given["transformers_version"], given["torch_dtype"], given["dtype"], given["quantization_config"]], [
    "4.9",
    "float32",
    "float32",
    undefined,
  ]);
  trainer.destroy();
});

test("tokenizer and generation_config.json come back from their files", async () => {
  const bpe = trainBPE("the cat and the hat and the mat ".repeat(20), 270), json = { ...SMALL.tied, vocab_size: 270 };
  const model = createModel(json), trainer = await openModel(model, withValues(randomValues(model, 1)));
  for (const tokenizer of [bpe, new ByteTokenizer()]) {
    const { folder } = await saveModel(trainer, { model, json, tokenizer, generation: { temperature: 0.5 } });
    const loaded = await openPretrained(folder);
    assertEquals([...loaded.tokenizer!.encode("the cat sat")], [...tokenizer.encode("the cat sat")]);
    assertEquals(loaded.tokenizer!.toJSON(), tokenizer.toJSON());
    assertEquals(loaded.generation, { temperature: 0.5 });
  }
  trainer.destroy();
});

test(
  "the identity of a model is that of its files, tokenizer and chat template among them: name, " +
    "bytes, SHA-256",
  async () => {
    const json = { ...SMALL.tied, vocab_size: 256 },
      model = createModel(json),
      trainer = await openModel(model, withValues(randomValues(model, 1)));
    const { files } = await saveModel(trainer, { model, json, tokenizer: new ByteTokenizer() });
    const all = new Map([...files, ["chat_template.jinja", new Blob(["{{ messages }}"])], [
      "README.md",
      new Blob(["Of no consequence."]),
    ]]);
    const expected = await Promise.all(
      [...all].filter(([name]) => name !== "README.md").map(async ([name, blob]) => {
        const bytes = await blob.arrayBuffer();
        return {
          name,
          bytes: bytes.byteLength,
          sha256: new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex(),
        };
      }),
    );
    const identity = await (await openPretrained(filesFolder("made", all))).identity(),
      sorted = (list: typeof identity) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    for (const name of ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"]) {
      assert(identity.some((file) => file.name === name), `${name} is not in it`);
    }
    assertEquals(sorted(identity), sorted(expected));
    trainer.destroy();
  },
);
