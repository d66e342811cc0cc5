// A model, adapter, dataset or setting of a fine-tuning that is wrong: one line that says what to do, exit status 2,
// nothing left behind.

import { createModel } from "../../src/models/model.ts";
import { encodeSafetensors, type TensorData } from "../../src/checkpoint/safetensors/writer.ts";
import { tensorsOf } from "../checkpoint/model/folders.ts";
import { assert, assertEquals, test } from "../harness.ts";
import { SMALL } from "../models/small_models.ts";
import { type FolderContents, idRows, jsonLines, writeModel } from "./model_folder.deno.ts";
import { filesBelow, inFolder, scrimp } from "./program.deno.ts";

interface BadModel {
  readonly name: string;
  readonly family?: keyof typeof SMALL;
  /** Over the model's own config.json; undefined: without that key. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly contents?: FolderContents;
  /** Files below the working folder. */
  readonly files?: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>;
  readonly args?: readonly string[];
  readonly tells: readonly string[];
}

const TRAIN = ["train", "--model=m", "--dataset=ids.jsonl", "--max_length=8", "--max_steps=2", "--run_name=bad"];
const LLAMA = tensorsOf(createModel(SMALL.llama)), FILE = encodeSafetensors(LLAMA);
const weights = (bytes: Uint8Array<ArrayBuffer>): FolderContents => ({ files: { "model.safetensors": bytes } });
const without = (name: string): TensorData[] => LLAMA.filter((tensor) => tensor.name !== name);
const own = (json: object): FolderContents => ({ files: { "config.json": JSON.stringify(json) } });
const tokenizer = (json: unknown): FolderContents => ({
  files: { "tokenizer.json": typeof json === "string" ? json : JSON.stringify(json) },
});
const evaluate = (
  ...args: string[]
): string[] => ["eval", "--model=m", "--dataset=ids.jsonl", "--max_length=8", ...args];
const rows = (text: string, ...args: string[]): Pick<BadModel, "files" | "args"> => ({
  files: { "d.jsonl": text },
  args: [...TRAIN, "--dataset=d.jsonl", ...args].filter((arg) => arg !== "--dataset=ids.jsonl"),
});

/** An adapter of rank 2 on q_proj of both layers. */
function adapter(changes: object, tensors = ["A", "B"]): Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> {
  const config = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: ["q_proj"], ...changes };
  const data = [0, 1].flatMap((layer) =>
    tensors.map((side): TensorData => ({
      name: `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_${side}.weight`,
      dtype: "F32",
      shape: side === "A" ? [2, 16] : [16, 2],
      data: new Float32Array(32),
    }))
  );
  return { "a/adapter_config.json": JSON.stringify(config), "a/adapter_model.safetensors": encodeSafetensors(data) };
}
const adapted = (changes: object, tensors?: string[]): Pick<BadModel, "files" | "args"> => ({
  files: adapter(changes, tensors),
  args: evaluate("--adapter=a"),
});

const CASES: readonly BadModel[] = [
  // Weights.
  {
    name: "weights that end early",
    contents: weights(FILE.slice(0, -4)),
    tells: ["m/model.safetensors", "expected", "Copy or download it again"],
  },
  {
    name: "weights with bytes behind them",
    contents: weights(new Uint8Array([...FILE, 0])),
    tells: ["m/model.safetensors", "Copy or download it again"],
  },
  {
    name: "a page in place of weights",
    contents: weights(new TextEncoder().encode("<!DOCTYPE html><html></html>")),
    tells: ["its header claims"],
  },
  {
    name: "no weights",
    contents: { files: { "model.safetensors": null } },
    tells: ["neither model.safetensors nor model.safetensors.index.json"],
  },
  {
    name: "weights as Python objects",
    contents: { files: { "model.safetensors": null, "pytorch_model.bin": "PK" } },
    tells: ["pytorch_model.bin holds Python objects", "Convert it"],
  },
  {
    name: "a shard outside the folder",
    contents: {
      files: { "model.safetensors": null, "model.safetensors.index.json": '{"weight_map": {"x": "../y.safetensors"}}' },
    },
    tells: ["not below the folder"],
  },
  {
    name: "a tensor too few",
    contents: { tensors: without("model.norm.weight") },
    tells: ["missing: model.norm.weight", "Use the config.json"],
  },
  {
    name: "a tensor too many",
    contents: { tensors: [...LLAMA, { name: "x", dtype: "F32", shape: [1], data: new Float32Array(1) }] },
    tells: ["not of this model: x"],
  },
  {
    name: "a tensor of another shape",
    contents: own({ ...SMALL.llama, intermediate_size: 30 }),
    tells: ['"model.layers.0.mlp.gate_proj.weight" is (28,16), expected (30,16)'],
  },
  {
    name: "weights that others have quantized",
    contents: {
      ...own({ ...SMALL.llama, quantization_config: { quant_method: "gptq" } }),
      tensors: without("lm_head.weight"),
    },
    tells: ['quantized by "gptq"', "load_in_4bit"],
  },
  // config.json.
  { name: "no config.json", contents: { files: { "config.json": null } }, tells: ["it has no config.json"] },
  {
    name: "a config.json that is cut",
    contents: { files: { "config.json": '{"model_type": ' } },
    tells: ["config.json is not a JSON object"],
  },
  {
    name: "a model_type that is not known",
    config: { model_type: "t5" },
    tells: ['model_type "t5"', "llama, mistral, qwen2, qwen3, gpt2, roberta, bert"],
  },
  {
    name: "a config.json without hidden_size",
    config: { hidden_size: undefined },
    tells: ['"hidden_size" must be', "got nothing"],
  },
  { name: "a width as text", config: { hidden_size: "16" }, tells: ['got "16"'] },
  { name: "a width of 2^26", config: { hidden_size: 2 ** 26 }, tells: ["expected (37,67108864)"] },
  { name: "a width beyond counting", config: { hidden_size: 1e30 }, tells: ["got 1e+30"] },
  {
    name: "a million layers",
    config: { num_hidden_layers: 1e6 },
    tells: ['"num_hidden_layers" must be a whole number from 0 to 1024, got 1000000'],
  },
  { name: "a million layers of GPT-2", family: "gpt2", config: { n_layer: 1e6 }, tells: ['"n_layer"', "1024"] },
  {
    name: "a million layers to plan",
    config: { num_hidden_layers: 1e6 },
    args: ["plan", "--model=m"],
    tells: ['"num_hidden_layers"'],
  },
  { name: "a million labels", family: "bert", config: { num_labels: 1e6 }, tells: ['"num_labels"', "65536"] },
  {
    name: "an epsilon that makes NaN",
    config: { rms_norm_eps: -1 },
    tells: ['"rms_norm_eps" must be a number above 0, got -1'],
  },
  {
    name: "a RoPE that makes NaN",
    config: { rope_theta: -5 },
    tells: ['"rope_theta" must be a number above 0, got -5'],
  },
  {
    name: "a dropout of everything",
    family: "gpt2",
    config: { resid_pdrop: 1 },
    tells: ['"resid_pdrop" must be a number from 0, below 1'],
  },
  {
    name: "padding behind all positions",
    family: "roberta",
    config: { pad_token_id: 500 },
    tells: ['"pad_token_id" 500 leaves no positions'],
  },
  {
    name: "a regression",
    family: "roberta",
    config: { problem_type: "regression" },
    tells: ['"problem_type"', "single_label_classification"],
  },
  {
    name: "more tokens than positions",
    args: [...TRAIN, "--max_length=25"].filter((arg) => arg !== "--max_length=8"),
    tells: ['"max_length" 25', "24 tokens"],
  },
  // Tokenizer.
  {
    name: "a tokenizer.json that is cut",
    contents: tokenizer('{"a":'),
    tells: ["tokenizer.json", "Copy the file again"],
  },
  {
    name: "SentencePiece's tokenizer alone",
    contents: { files: { "tokenizer.model": "x" } },
    tells: ["tokenizer.model", "save_pretrained"],
  },
  {
    name: "a text without a tokenizer",
    args: [...TRAIN.filter((arg) => !arg.startsWith("--dataset")), "--dataset=text.txt"],
    tells: ["the model has no tokenizer", "--tokenizer"],
  },
  // Where things are.
  {
    name: "a model that is a file",
    args: ["train", "--model=text.txt", "--dataset=ids.jsonl"],
    tells: ['Cannot open "text.txt"'],
  },
  {
    name: "a model named by an empty variable",
    args: ["train", "--model", "", "--dataset=text.txt"],
    tells: ['"model": expected a path, got ""'],
  },
  {
    name: "a merge into an existing folder",
    files: adapter({}),
    args: ["merge", "--model=m", "--adapter=a", "--output=m"],
    tells: ["Cannot merge into m: it exists already"],
  },
  {
    name: "a merge into nothing",
    files: adapter({}),
    args: ["merge", "--model=m", "--adapter=a", "--output", ""],
    tells: ["--output NEW_FOLDER"],
  },
  {
    name: "a merge below a file",
    files: adapter({}),
    args: ["merge", "--model=m", "--adapter=a", "--output=text.txt/m"],
    tells: ["Cannot write text.txt/m"],
  },
  // Adapters.
  { name: "DoRA", ...adapted({ use_dora: true }), tells: ['"use_dora" is true', "Merge it"] },
  { name: "an adapter of another kind", ...adapted({ peft_type: "IA3" }), tells: ['"peft_type" is "IA3"'] },
  {
    name: "an adapter without its rank",
    ...adapted({ r: undefined }),
    tells: ['lora_A.weight" is (2,16), expected (8,16)'],
  },
  { name: "an adapter with a rank of none", ...adapted({ r: 0 }), tells: ['"r" is 0'] },
  {
    name: "an adapter of an enormous rank",
    ...adapted({ r: 1e9 }),
    tells: ["with r 1000000000: expected a whole number from 1 to 16"],
  },
  {
    name: "an adapter with half of its tensors",
    ...adapted({}, ["A"]),
    tells: ["it has no", "lora_B.weight", "Use it with the model"],
  },
  {
    name: "an adapter of another model",
    ...adapted({ target_modules: ["c_attn"] }),
    tells: ['"target_modules" ["c_attn"]', "There are q_proj"],
  },
  {
    name: "rsLoRA of a text",
    ...adapted({ use_rslora: "yes" }),
    tells: ['"use_rslora" is "yes", expected true or false'],
  },
  { name: "a folder that is no adapter", args: evaluate("--adapter=m"), tells: ["it has no adapter_config.json"] },
  // Settings.
  {
    name: "four bits where everything is trained",
    args: [...TRAIN, "--load_in_4bit"],
    tells: ["only frozen weights are quantized", "Add --peft lora"],
  },
  {
    name: "adapters beside chosen modules",
    args: [...TRAIN, "--peft=lora", "--trainable_modules=mlp"],
    tells: ['"peft" beside "trainable_modules"'],
  },
  { name: "a rank above the layer's", args: [...TRAIN, "--peft=lora r=17"], tells: ["with r 17", "1 to 16"] },
  {
    name: "targets that match nothing",
    args: [...TRAIN, "--peft=lora target_modules=nothing"],
    tells: ["no linear layer has such a name"],
  },
  {
    name: "nothing to train",
    args: [...TRAIN, "--trainable_modules="],
    tells: ['"trainable_modules" []: nothing would be left to train'],
  },
  {
    name: "a checkpoint that is a model",
    args: [...TRAIN, "--resume_from_checkpoint=m/model.safetensors"],
    tells: ["it is not a training checkpoint"],
  },
  // Data.
  {
    name: "rows of a broken line",
    ...rows('{"input_ids":[1,2]}\n{"input_ids":\n'),
    tells: ["d.jsonl: line 2 is not valid JSON"],
  },
  { name: "no rows", ...rows(""), tells: ["Cannot read the rows of d.jsonl", "empty file"] },
  { name: "rows of unknown keys", ...rows('{"foo": 1}\n'), tells: ["row 1 of d.jsonl", "got the keys foo"] },
  {
    name: "an id beyond the vocabulary",
    ...rows('{"input_ids":[1,37,2]}\n'),
    tells: ["row 1 of d.jsonl: its input_ids have 37, the vocabulary ends at 36"],
  },
  {
    name: "no row left to validate on",
    ...rows(jsonLines(idRows(1, 1))),
    tells: ["Validation: Cannot make a batch", "validation_split"],
  },
  { name: "rows of nothing to learn", ...rows('{"input_ids":[1]}\n'.repeat(40)), tells: ["38 of them empty"] },
  {
    name: "a label that is none of the classes",
    family: "roberta",
    ...rows('{"text":"1 2","label":3}\n'),
    tells: ["row 1 of d.jsonl: expected a label of LABEL_0, LABEL_1, LABEL_2"],
  },
  { name: "rows without labels to classify", family: "roberta", args: TRAIN, tells: ["expected {text, label}"] },
  {
    name: "a text to classify",
    family: "roberta",
    args: ["eval", "--model=m", "--dataset=text.txt"],
    tells: ['Cannot use a text as "dataset" of a model that classifies'],
  },
];

for (const { name, family = "llama", config, contents = {}, files = {}, args = TRAIN, tells } of CASES) {
  test(`${name}: one line, exit status 2, no file`, () =>
    inFolder(async (folder) => {
      const json = SMALL[family];
      await writeModel(`${folder}/m`, json, config ? { ...contents, config: { ...json, ...config } } : contents);
      await Deno.writeTextFile(`${folder}/ids.jsonl`, jsonLines(idRows(40, 3)));
      for (const [path, content] of Object.entries(files)) {
        await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeFile(
          `${folder}/${path}`,
          typeof content === "string" ? new TextEncoder().encode(content) : content,
        );
      }
      const before = filesBelow(folder), begun = performance.now();
      const { code, stderr } = await scrimp(folder, args);
      assertEquals(code, 2, stderr);
      assert(
        /^error: [^\n]+\n$/.test(stderr),
        `expected one line that begins with "error:", got ${JSON.stringify(stderr)}`,
      );
      for (const text of tells) assert(stderr.includes(text), `"${text}" is not in ${stderr}`);
      assertEquals(filesBelow(folder), before);
      // None takes a second on a quiet machine.
      assert(performance.now() - begun < 20_000, "it took long to refuse");
    }));
}
