// A fault of a model's folder is told in one line, before any weight is read.

import { assert, assertEquals, assertRejects, test } from "../../harness.ts";
import { SMALL } from "../../models/small_models.ts";
import { folderOf, json, tensorsOf } from "./folders.ts";
import { openPretrained } from "../../../src/checkpoint/model/pretrained.ts";
import { encodeSafetensors } from "../../../src/checkpoint/safetensors/writer.ts";
import type { Folder } from "../../../src/checkpoint/source/source.ts";
import { trainBPE } from "../../../src/tokenizer/bpe_train.ts";
import { createModel } from "../../../src/models/model.ts";

const config = SMALL.llama, model = createModel(config), tensors = tensorsOf(model), first = tensors[0]!;
const text = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);
const withFiles = (files: Readonly<Record<string, Uint8Array<ArrayBuffer> | null>>): Folder =>
  folderOf(model, config, { files });
const withConfig = (changes: object): Folder => withFiles({ "config.json": json({ ...config, ...changes }) });
const bytes = encodeSafetensors(tensors);

const BROKEN: readonly (readonly [string, Folder, string])[] = [
  [
    "no config.json",
    withFiles({ "config.json": null }),
    "Cannot load given: it has no config.json. Give the folder of a Hugging Face model",
  ],
  ["a config.json that is no JSON", withFiles({ "config.json": text("{") }), "config.json is not a JSON object"],
  ["an empty config.json", withFiles({ "config.json": new Uint8Array(0) }), "config.json is not a JSON object"],
  ["a config.json that is null", withFiles({ "config.json": json(null) }), "config.json is not a JSON object"],
  ["a config.json that is a list", withFiles({ "config.json": json([]) }), "config.json is not a JSON object"],
  [
    "another architecture",
    withConfig({ model_type: "mamba" }),
    'Cannot load a model of model_type "mamba": expected one of llama, mistral, qwen2, qwen3, gpt2, roberta, bert',
  ],
  ["no architecture", withConfig({ model_type: undefined }), "Cannot load a model of model_type nothing"],
  [
    "no number of layers",
    withConfig({ num_hidden_layers: undefined }),
    '"num_hidden_layers" must be a whole number from 0 to 1024, got nothing',
  ],
  [
    "a negative number of layers",
    withConfig({ num_hidden_layers: -1 }),
    '"num_hidden_layers" must be a whole number from 0 to 1024, got -1',
  ],
  [
    "half a hidden size",
    withConfig({ hidden_size: 7.5 }),
    '"hidden_size" must be a whole number from 1 to 2^26, got 7.5',
  ],
  [
    "a bad sequence length",
    withConfig({ max_position_embeddings: 0 }),
    '"max_position_embeddings" must be a whole number from 1 to 2^26, got 0',
  ],
  ["another activation", withConfig({ hidden_act: "relu" }), '"hidden_act" must be "silu", got "relu"'],
  [
    "heads that do not divide",
    withConfig({ num_key_value_heads: 3 }),
    '"num_key_value_heads" 3 must divide num_attention_heads 4',
  ],
  [
    "no weights",
    withFiles({ "model.safetensors": null }),
    "Cannot read the weights of given: it has neither model.safetensors nor model.safetensors.index.json",
  ],
  [
    "pickled weights",
    withFiles({ "model.safetensors": null, "pytorch_model.bin": new Uint8Array(9) }),
    "pytorch_model.bin holds Python objects, which may run code",
  ],
  [
    "a truncated model.safetensors",
    withFiles({ "model.safetensors": bytes.slice(0, -4) }),
    "Cannot read given/model.safetensors",
  ],
  [
    "an empty model.safetensors",
    withFiles({ "model.safetensors": new Uint8Array(0) }),
    "expected at least 8 bytes, got 0",
  ],
  [
    "a tensor missing",
    folderOf(model, config, { tensors: tensors.slice(1) }),
    "its tensors are not those of its config.json (missing: model.embed_tokens.weight)",
  ],
  [
    "a tensor too many",
    folderOf(model, config, {
      tensors: [...tensors, { name: "extra", dtype: "F32", shape: [1], data: new Float32Array(1) }],
    }),
    "(not of this model: extra)",
  ],
  [
    "a tensor of another shape",
    folderOf(model, config, { tensors: [{ ...first, shape: [16, 37] }, ...tensors.slice(1)] }),
    '("model.embed_tokens.weight" is (16,37), expected (37,16))',
  ],
  [
    "more layers than its file",
    withConfig({ num_hidden_layers: 3 }),
    "(missing: model.layers.2.self_attn.q_proj.weight, ",
  ],
  ["fewer layers than its file", withConfig({ num_hidden_layers: 1 }), "(not of this model: model.layers.1."],
  [
    "an index that names no shards",
    withFiles({ "model.safetensors": null, "model.safetensors.index.json": json({ weight_map: {} }) }),
    "it has no weight_map from tensors to shards",
  ],
  [
    "a shard that is missing",
    withFiles({
      "model.safetensors": null,
      "model.safetensors.index.json": json({ weight_map: { a: "model-1.safetensors" } }),
    }),
    'its shard "model-1.safetensors" is missing',
  ],
  ["a tokenizer.json that is no tokenizer", withFiles({ "tokenizer.json": json({ type: "word" }) }), "tokenizer"],
  ["a tokenizer.json that is null", withFiles({ "tokenizer.json": json(null) }), "tokenizer.json"],
  [
    "a tokenizer larger than the vocabulary",
    withFiles({ "tokenizer.json": json(trainBPE("the cat and the hat ".repeat(20), 260).toJSON()) }),
    "Cannot use this tokenizer with this model: its largest id is 259",
  ],
  [
    "only a SentencePiece model",
    withFiles({ "tokenizer.model": new Uint8Array(4) }),
    "only SentencePiece's tokenizer.model",
  ],
];

for (const [name, folder, includes] of BROKEN) {
  test(`a model folder with ${name} is refused`, async () => {
    const error = await assertRejects(() => openPretrained(folder), includes);
    assert(!error.message.includes("\n") && /Error$/.test(error.name), `${error.name}: ${error.message}`);
  });
}

test("many problems are told together, in a line that stays readable", async () => {
  const { message } = await assertRejects(
    () =>
      openPretrained(
        folderOf(model, config, {
          tensors: [...tensors.slice(12), { name: "extra", dtype: "F32", shape: [1], data: new Float32Array(1) }],
        }),
      ),
    "missing: ",
  );
  assert(/ and 4 more; not of this model: extra\)/.test(message) && message.length < 1000, message);
});

test(
  "what a file may lack or have beside its model: a tied head, masks of older versions, a prefix, a new " +
    "classification head",
  async () => {
    const tied = createModel(SMALL.tied),
      head = { name: "lm_head.weight", dtype: "F32", shape: [37, 16], data: new Float32Array(37 * 16) } as const;
    assertEquals(
      (await openPretrained(folderOf(tied, SMALL.tied, { tensors: [...tensorsOf(tied), head] }))).isNew.size,
      0,
    );
    const gpt2 = createModel(SMALL.gpt2),
      mask = { name: "h.0.attn.bias", dtype: "F32", shape: [1, 1, 2, 2], data: new Float32Array(4) } as const;
    const bare = tensorsOf(gpt2).map((one) => ({ ...one, name: one.name.replace(/^transformer\./, "") }));
    assertEquals((await openPretrained(folderOf(gpt2, SMALL.gpt2, { tensors: [...bare, mask] }))).isNew.size, 0);
    const roberta = createModel(SMALL.roberta),
      headless = tensorsOf(roberta).filter(({ name }) => !name.startsWith("classifier"));
    const { isNew } = await openPretrained(folderOf(roberta, SMALL.roberta, { tensors: headless }));
    assertEquals([...isNew].sort(), [
      "classifier.dense.bias",
      "classifier.dense.weight",
      "classifier.out_proj.bias",
      "classifier.out_proj.weight",
    ]);
    await assertRejects(
      () => openPretrained(folderOf(roberta, SMALL.roberta, { tensors: headless.slice(1) })),
      "missing: roberta.embeddings.word_embeddings.weight)",
    );
  },
);
