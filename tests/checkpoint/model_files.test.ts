import { type Files, type LoadedModel, loadModelFiles, modelFiles } from "../../src/checkpoint/model_files.ts";
import { encodeSafetensors, type NamedTensor } from "../../src/checkpoint/safetensors.ts";
import { trainBPE } from "../../src/data/bpe_train.ts";
import { ByteTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { createLlama, type Llama, type LlamaConfig } from "../../src/models/llama.ts";
import { initialValues } from "../../src/models/parameter.ts";
import { assert, assertEquals, assertRejects, test } from "../harness.ts";

const CONFIG: LlamaConfig = {
  vocab_size: 256,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 4,
  rms_norm_eps: 1e-6,
  rope_parameters: { rope_theta: 5000 },
  tie_word_embeddings: true,
  initializer_range: 0.03,
};

const weightsOf = (model: Llama): NamedTensor[] => model.parameters.map((parameter) => ({ name: parameter.value.label, shape: parameter.value.shape, data: initialValues(parameter, 5) }));
function filesOf(config = CONFIG, tokenizer: Tokenizer = new ByteTokenizer()): Files {
  const model = createLlama(config);
  return modelFiles(model, 24, tokenizer, weightsOf(model));
}
const load = (files: Files): Promise<LoadedModel> => loadModelFiles((name) => Promise.resolve(files.get(name) ?? null));

const json = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value));
const replaced = (name: string, bytes: Uint8Array<ArrayBuffer>): Files => new Map([...filesOf(), [name, bytes]]);
const config = JSON.parse(new TextDecoder().decode(filesOf().get("config.json"))) as Readonly<Record<string, unknown>>;

for (const tie_word_embeddings of [true, false]) {
  test(`a model ${tie_word_embeddings ? "with" : "without"} a tied head comes back from its files`, async () => {
    const loaded = await load(filesOf({ ...CONFIG, tie_word_embeddings }));
    assertEquals(loaded.model.config, { ...CONFIG, tie_word_embeddings });
    assertEquals(loaded.max_length, 24);
    assertEquals(loaded.tokenizer.toJSON(), { type: "byte" });
    const expected = weightsOf(loaded.model).sort((a, b) => (a.name < b.name ? -1 : 1));
    assertEquals(loaded.tensors, expected);
    assertEquals(loaded.tensors.some(({ name }) => name === "lm_head.weight"), !tie_word_embeddings);
  });
}

test("a BPE tokenizer comes back from its file", async () => {
  const tokenizer = trainBPE("the cat and the hat and the mat ".repeat(20), 270);
  const loaded = await load(filesOf({ ...CONFIG, vocab_size: tokenizer.vocab_size }, tokenizer));
  assertEquals([...loaded.tokenizer.encode("the cat sat")], [...tokenizer.encode("the cat sat")]);
});

test("config.json has what transformers reads", () => {
  for (const [key, value] of Object.entries({ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", max_position_embeddings: 24, rope_theta: 5000, torch_dtype: "float32", vocab_size: 256, head_dim: 4 })) {
    assertEquals(config[key], value, key);
  }
});

test("a folder without one of the three files is refused by its name", async () => {
  for (const name of filesOf().keys()) {
    const files = new Map(filesOf());
    files.delete(name);
    await assertRejects(() => load(files), `Cannot load the model: its folder has no ${name}.`);
  }
});

const model = createLlama(CONFIG), weights = weightsOf(model), first = weights[0]!;
const BROKEN: readonly (readonly [string, Files, string])[] = [
  ["a config.json that is no JSON", replaced("config.json", new TextEncoder().encode("{")), "config.json is not a JSON object"],
  ["an empty config.json", replaced("config.json", new Uint8Array(0)), "config.json is not a JSON object"],
  ["a config.json that is null", replaced("config.json", json(null)), "config.json is not a JSON object"],
  ["a config.json that is a list", replaced("config.json", json([])), "config.json is not a JSON object"],
  ["another architecture", replaced("config.json", json({ ...config, model_type: "gpt2" })), 'Cannot read model_type "gpt2"'],
  ["no number of layers", replaced("config.json", json({ ...config, num_hidden_layers: undefined })), '"num_hidden_layers" '],
  ["a negative number of layers", replaced("config.json", json({ ...config, num_hidden_layers: -1 })), '"num_hidden_layers" in config.json must be a whole number above 0, got -1'],
  ["half a hidden size", replaced("config.json", json({ ...config, hidden_size: 7.5 })), '"hidden_size" in config.json must be a whole number above 0, got 7.5'],
  ["no sequence length", replaced("config.json", json({ ...config, max_position_embeddings: undefined })), '"max_position_embeddings" in config.json must be a whole number above 0, got undefined'],
  ["a tokenizer.json that is no tokenizer", replaced("tokenizer.json", json({ type: "word" })), "Cannot restore a tokenizer"],
  ["a tokenizer.json that is null", replaced("tokenizer.json", json(null)), "tokenizer.json is not a JSON object"],
  ["a tokenizer larger than the vocabulary", replaced("tokenizer.json", json(trainBPE("the cat and the hat ".repeat(20), 260).toJSON())), "its tokenizer has 260 tokens, its vocabulary 256"],
  ["a truncated model.safetensors", replaced("model.safetensors", filesOf().get("model.safetensors")!.slice(0, -4)), "Cannot read the safetensors file"],
  ["a tensor missing", replaced("model.safetensors", encodeSafetensors(weights.slice(1))), 'tensor "model.embed_tokens.weight" should be (256,8), the file has none'],
  ["a tensor too many", replaced("model.safetensors", encodeSafetensors([...weights, { name: "extra", shape: [1], data: new Float32Array(1) }])), 'tensor "extra" is none of the model'],
  ["a tensor of another shape", replaced("model.safetensors", encodeSafetensors([{ ...first, shape: [8, 256] }, ...weights.slice(1)])), 'tensor "model.embed_tokens.weight" should be (256,8), the file has (8,256)'],
  ["more layers than its file", replaced("config.json", json({ ...config, num_hidden_layers: 3 })), 'tensor "model.layers.2.self_attn.q_proj.weight" should be (8,8), the file has none'],
  ["fewer layers than its file", replaced("config.json", json({ ...config, num_hidden_layers: 1 })), 'tensor "model.layers.1.'],
];

for (const [name, files, includes] of BROKEN) {
  test(`a model folder with ${name} is refused`, async () => {
    const error = await assertRejects(() => load(files), includes);
    assert(!error.message.includes("\n") && /Error$/.test(error.name), `${error.name}: ${error.message}`);
  });
}
