// Whatever is wrong: one line on stderr that says what to do, exit status 1 or 2, nothing half-written.

import { assert, assertEquals, test } from "../harness.ts";
import { filesBelow, inFolder, scrimp, succeeded, TINY } from "./program.deno.ts";

const NO_ADAPTER = { DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12" };

interface BadInput {
  readonly name: string;
  readonly args: readonly string[];
  /** Files to make first, below the folder. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly code: 1 | 2;
  /** The words that the line must have. */
  readonly tells: readonly string[];
}

const train = (...args: string[]): string[] => ["train", ...TINY, "--run_name=bad", ...args];
const onText = (...args: string[]): string[] => train("--dataset=text.txt", ...args);

/** 33 GB in one buffer, more than any adapter allows, though the model itself is small. */
const TOO_LARGE = ["--per_device_train_batch_size=2000", "--intermediate_size=262144"];

const LLAMA_JSON = '{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, ' +
  '"num_attention_heads": 2, "vocab_size": 256}';

const CASES: readonly BadInput[] = [
  {
    name: "a dataset that never ends",
    args: train("--dataset=/dev/zero"),
    code: 2,
    tells: ["/dev/zero", "it is a device"],
  },
  {
    name: "a dataset that is not there",
    args: train("--dataset=nothing.txt"),
    code: 2,
    tells: ["nothing.txt", "there is no such file", "relative to"],
  },
  {
    name: "a dataset that is a folder",
    args: train("--dataset=."),
    code: 2,
    tells: ["Cannot find the training data", "expected train.jsonl, .json, .csv, .tsv, .parquet or .txt, got text.txt"],
  },
  {
    name: "an empty dataset",
    args: train("--dataset=e.txt"),
    files: { "e.txt": "" },
    code: 2,
    tells: ["e.txt", "empty file"],
  },
  {
    name: "a dataset of white space",
    args: train("--dataset=w.txt"),
    files: { "w.txt": " \n\t\r\n " },
    code: 2,
    tells: ["w.txt", "white space"],
  },
  {
    name: "a binary dataset",
    args: train("--dataset=b.bin"),
    files: { "b.bin": "PK\u0003\u0004\u0000\u0000" },
    code: 2,
    tells: ["b.bin", "binary"],
  },
  {
    name: "a dataset shorter than a sequence",
    args: train("--dataset=s.txt"),
    files: { "s.txt": "too short" },
    code: 2,
    tells: ["expected at least 34", "got 9", "longer file or a smaller max_length"],
  },
  {
    name: "a dataset named by an empty variable",
    args: train("--dataset", ""),
    code: 2,
    tells: ['"dataset"', 'got ""'],
  },
  {
    name: "an unknown key",
    args: onText("--max_stepz=5"),
    code: 2,
    tells: ['"max_stepz"', 'did you mean "max_steps"?'],
  },
  {
    name: "an unknown key in the config file",
    args: onText("--config=c.json"),
    files: { "c.json": '{"optim_args": {"momentun": 1}}' },
    code: 2,
    tells: ['did you mean "optim_args.momentum"?'],
  },
  {
    name: "a key that every object inherits",
    args: onText("--__proto__", "5"),
    code: 2,
    tells: ['unknown setting "__proto__"'],
  },
  {
    name: "a setting of the wrong type",
    args: onText("--max_steps=many"),
    code: 2,
    tells: ['"max_steps": must be a whole number above 0, got "many"'],
  },
  { name: "a setting without its value", args: onText("--prompt"), code: 2, tells: ["--prompt", "expected a value"] },
  {
    name: "a setting outside its range",
    args: onText("--learning_rate=-1"),
    code: 2,
    tells: ['"learning_rate": must be a number above 0, got -1'],
  },
  {
    name: "sizes that make no model",
    args: onText("--num_attention_heads=3"),
    code: 2,
    tells: ["must divide hidden_size 16"],
  },
  { name: "a word that is no setting", args: onText("fast"), code: 2, tells: ['"fast"', "expected --setting value"] },
  {
    name: "a config file that is not there",
    args: onText("--config=c.json"),
    code: 2,
    tells: ["Cannot read config c.json", "there is no such file"],
  },
  {
    name: "a config file that is no JSON",
    args: onText("--config=c.json"),
    files: { "c.json": '{"max_steps": 5,\n}' },
    code: 2,
    tells: ["c.json", "expected a JSON object of settings"],
  },
  {
    name: "a config file that is a list",
    args: onText("--config=c.json"),
    files: { "c.json": "[1]" },
    code: 2,
    tells: ["c.json", "expected a JSON object of settings"],
  },
  {
    name: "a config file that is null",
    args: onText("--config=c.json"),
    files: { "c.json": "null" },
    code: 2,
    tells: ["c.json", "expected a JSON object of settings"],
  },
  {
    name: "a run folder that is there already",
    args: onText(),
    files: { "runs/bad/kept.txt": "kept" },
    code: 2,
    tells: ["runs/bad exists already", "run_name"],
  },
  {
    name: "an output folder that is a file",
    args: onText("--output_dir=text.txt"),
    code: 2,
    tells: ["text.txt cannot be made", "output_dir"],
  },
  {
    name: "a batch too large for the adapter",
    args: onText(...TOO_LARGE),
    code: 2,
    tells: ["Cannot fit the plan", "Largest: activation ", " fits; gradient_accumulation_steps makes up for it"],
  },
  {
    name: "a model too large for the adapter",
    args: onText("--hidden_size=1000000"),
    code: 2,
    tells: ["Cannot fit the plan", "Not even a batch of 1 fits"],
  },
  {
    name: "no adapter",
    args: onText(),
    env: NO_ADAPTER,
    code: 1,
    tells: ["Cannot find a WebGPU adapter", "apt-get install mesa-vulkan-drivers"],
  },
  {
    name: "no adapter to describe",
    args: ["devices"],
    env: NO_ADAPTER,
    code: 1,
    tells: ["Cannot find a WebGPU adapter"],
  },
  {
    name: "an unknown command",
    args: ["trian"],
    code: 2,
    tells: ['Cannot run "trian": expected one of train, plan, eval, generate, merge, devices, compare'],
  },
  { name: "a command that every object inherits", args: ["constructor"], code: 2, tells: ['Cannot run "constructor"'] },
  { name: "a setting that devices does not take", args: ["devices", "--max_steps=5"], code: 2, tells: ["--max_steps"] },
  {
    name: "a setting that eval does not take",
    args: ["eval", "--model=m", "--dataset=text.txt", "--max_steps=5"],
    code: 2,
    tells: ["Cannot use --max_steps with eval: expected --model, ", "--dataset"],
  },
  {
    name: "a setting that generate does not take",
    args: ["generate", "--model=m", "--max_steps=5"],
    code: 2,
    tells: ["Cannot use --max_steps with generate: expected --model, ", "--prompt"],
  },
  { name: "no model to evaluate", args: ["eval", "--dataset=text.txt"], code: 2, tells: ["expected --model FOLDER"] },
  {
    name: "a model folder that is not there",
    args: ["generate", "--model=nothing"],
    code: 2,
    tells: ['Cannot open "nothing": there is no such folder', 'a repository on the hub is called "owner/name"'],
  },
  {
    name: "a model folder that is a file",
    args: ["generate", "--model=text.txt"],
    code: 2,
    tells: ['Cannot open "text.txt": there is no such folder'],
  },
  {
    name: "a model folder that is not one",
    args: ["eval", "--model=m", "--dataset=text.txt"],
    files: { "m/config.json": "{}" },
    code: 2,
    tells: ["Cannot load a model of model_type nothing: expected one of llama, "],
  },
  {
    name: "a model folder without weights",
    args: ["generate", "--model=m"],
    files: { "m/config.json": LLAMA_JSON },
    code: 2,
    tells: ["Cannot read the weights of m: it has neither model.safetensors nor model.safetensors.index.json"],
  },
  {
    name: "a model folder with no sizes",
    args: ["generate", "--model=m"],
    files: { "m/config.json": '{"model_type": "llama"}' },
    code: 2,
    tells: ["Cannot read the model's config.json", '"hidden_size" must be a whole number from 1 to 2^26, got nothing'],
  },
  {
    name: "LoRA on nothing",
    args: onText("--peft=lora r=4 target_modules=query"),
    code: 2,
    tells: ['Cannot use "target_modules" ["query"]: no linear layer has such a name. There are q_proj, k_proj, '],
  },
  {
    name: "a rank above a layer",
    args: onText("--peft=lora r=99"),
    code: 2,
    tells: ["Cannot adapt model.layers.0.self_attn.q_proj (16,16) with r 99"],
  },
  {
    name: "quantized weights that are trained",
    args: onText("--load_in_4bit"),
    code: 2,
    tells: ['Cannot use "load_in_4bit": only frozen weights are quantized, and everything is trained. Add --peft lora'],
  },
  {
    name: "rows for a new model",
    args: train("--dataset=r.jsonl"),
    files: { "r.jsonl": '{"text": "a"}\n' },
    code: 2,
    tells: ["Cannot use dataset r.jsonl: a new model is trained on a text file"],
  },
  {
    name: "a pretrained model without data",
    args: train("--model=m"),
    files: { "m/config.json": LLAMA_JSON },
    code: 2,
    tells: ["Cannot fine-tune without data: expected --dataset FILE"],
  },
];

for (const { name, args, files = {}, env = {}, code, tells } of CASES) {
  test(`${name}: one line, exit status ${code}, no file`, () =>
    inFolder(async (folder) => {
      for (const [path, text] of Object.entries(files)) {
        await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeTextFile(`${folder}/${path}`, text);
      }
      const before = filesBelow(folder);
      const result = await scrimp(folder, args, env);
      assertEquals(result.code, code, result.stderr);
      checkOneLine(result.stderr, tells);
      assert(!/done|"summary"/.test(result.stdout), `stdout tells of success: ${result.stdout}`);
      assertEquals(filesBelow(folder), before);
    }));
}

function checkOneLine(stderr: string, tells: readonly string[]): void {
  assert(
    /^error: [^\n]+\n$/.test(stderr),
    `expected one line that begins with "error:", got ${JSON.stringify(stderr)}`,
  );
  for (const text of tells) assert(stderr.includes(text), `"${text}" is not in ${stderr}`);
}

test("a loss that is not finite: one line with step and tensor, exit status 1, the metrics kept but no model", () =>
  inFolder(async (folder) => {
    const { code, stdout, stderr } = await scrimp(
      folder,
      onText("--learning_rate=1e30", "--max_grad_norm=0", "--warmup_steps=0", "--max_steps=50"),
    );
    assertEquals(code, 1, stderr);
    checkOneLine(stderr, ["The loss of step ", "first bad tensor: ", "Use a smaller learning_rate"]);
    assert(!/done|"summary"/.test(stdout), stdout);
    assertEquals(filesBelow(`${folder}/runs/bad`), ["loss.svg", "metrics.jsonl", "training.json"]);
  }));

test("a batch that does not fit names the three largest roles and a batch that does", () =>
  inFolder(async (folder) => {
    const { stderr } = await scrimp(folder, onText(...TOO_LARGE));
    assert(
      /Largest: (\w+ [\d.]+ [KMGT]iB, ){2}\w+ [\d.]+ [KMGT]iB\. A per_device_train_batch_size of \d+ fits/.test(stderr),
      stderr,
    );
  }));

test("no data to evaluate on, and a model of other shapes than its config says, which eval and generate refuse", () =>
  inFolder(async (folder) => {
    succeeded(await scrimp(folder, onText("--max_steps=1")));
    const without = await scrimp(folder, ["eval", "--model=runs/bad/model"]);
    assertEquals([without.code, without.stdout], [2, ""]);
    checkOneLine(without.stderr, ["Cannot evaluate without data: expected --dataset FILE"]);
    const path = `${folder}/runs/bad/model/config.json`;
    await Deno.writeTextFile(
      path,
      Deno.readTextFileSync(path).replace('"intermediate_size": 32', '"intermediate_size": 33'),
    );
    for (const args of [["eval", "--dataset=text.txt"], ["generate"]]) {
      const { code, stdout, stderr } = await scrimp(folder, [...args, "--model=runs/bad/model"]);
      assertEquals([code, stdout], [2, ""], stderr);
      checkOneLine(stderr, [
        '("model.layers.0.mlp.gate_proj.weight" is (32,16), expected (33,16); ',
        "Use the config.json that was published with the weights",
      ]);
    }
  }));
