// Every family of pretrained models goes the whole way: trained, evaluated, merged, and resumed in a new process.

import { createModel } from "../../src/models/model.ts";
import { tensorsOf } from "../checkpoint/model/folders.ts";
import { assert, assertClose, assertEquals, readShared, skip, test } from "../harness.ts";
import { SMALL } from "../models/small_models.ts";
import { idRows, inBfloat16, jsonLines, labelledRows, writeModel, writeRows } from "./model_folder.deno.ts";
import { filesBelow, inFolder, type Line, linesOf, scrimp, scrimpInterrupted, succeeded } from "./program.deno.ts";

const TUNE = [
  "train",
  "--json",
  "--model=m",
  "--dataset=rows",
  "--max_length=8",
  "--per_device_train_batch_size=2",
  "--max_steps=4",
  "--eval_batches=1000",
  "--sample_tokens=2",
  "--learning_rate=0.01",
];
const LORA = ["--peft=lora r=2 target_modules=all-linear"];

const tune = async (folder: string, ...args: string[]): Promise<Line[]> =>
  linesOf(succeeded(await scrimp(folder, [...TUNE, ...args])));
const summaryOf = (lines: readonly Line[]): Line => lines.at(-1)!["summary"] as Line;
async function evaluated(folder: string, ...args: string[]): Promise<Line> {
  return linesOf(
    succeeded(
      await scrimp(folder, [
        "eval",
        "--json",
        "--dataset=rows",
        "--max_length=8",
        "--per_device_train_batch_size=2",
        ...args,
      ]),
    ),
  )[0]!;
}
const bytesOf = (path: string): Uint8Array => Deno.readFileSync(path);

/** Trains, and trains again from the middle on in another process: the results must be the same bytes. */
async function tuneTwice(folder: string, file: string, ...args: string[]): Promise<Line> {
  const lines = await tune(folder, "--run_name=whole", "--save_steps=2", ...args);
  await tune(folder, "--run_name=rest", "--resume_from_checkpoint=runs/whole/checkpoint-2.safetensors", ...args);
  assertEquals(bytesOf(`${folder}/runs/rest/${file}`), bytesOf(`${folder}/runs/whole/${file}`));
  return summaryOf(lines);
}

/**
 * A LoRA run's validation loss is that of eval with base and adapter, to the bit, and of the merged model.
 */
async function checkAdapter(folder: string, ...args: string[]): Promise<void> {
  const { eval_loss } = await tuneTwice(folder, "adapter/adapter_model.safetensors", ...LORA, ...args),
    adapted = ["--model=m", "--adapter=runs/whole/adapter"];
  assertEquals((await evaluated(folder, ...adapted))["eval_loss"], eval_loss);
  succeeded(await scrimp(folder, ["merge", ...adapted, "--output=merged"]));
  // Merged weights are rounded once more than the products of two.
  assertClose([Number((await evaluated(folder, "--model=merged"))["eval_loss"])], [Number(eval_loss)], {
    name: "loss of the merged model",
    relative: 1e-5,
  });
}

for (const family of ["tied", "qwen2", "qwen3", "gpt2"] as const) {
  test(`${family}: LoRA and whole, trained on rows, resumed, evaluated, merged`, () =>
    inFolder(async (folder) => {
      const json = SMALL[family], tensors = tensorsOf(createModel(json));
      // The adapter's products must not be rounded to what the base is stored in.
      await writeModel(`${folder}/m`, json, { tensors: family === "qwen2" ? inBfloat16(tensors) : tensors });
      await writeRows(`${folder}/rows`, idRows);
      await checkAdapter(folder);
      const { eval_loss } = summaryOf(await tune(folder, "--run_name=full", "--packing"));
      assertEquals((await evaluated(folder, "--model=runs/full/model", "--packing"))["eval_loss"], eval_loss);
      const text = (model: string) =>
        scrimp(folder, ["generate", `--model=${model}`, "--prompt=5 6 7", "--sample_tokens=3", "--temperature=0"]);
      assert(/^5 6 7( \d+){3}\n$/.test(succeeded(await text("runs/full/model")).stdout), "a continuation of three ids");
    }));
}

test("roberta: adapters and the head beside them are saved, loaded and merged, in a base of bfloat16 too", () =>
  inFolder(async (folder) => {
    await writeModel(`${folder}/m`, SMALL.roberta, { tensors: inBfloat16(tensorsOf(createModel(SMALL.roberta))) });
    await writeRows(`${folder}/rows`, (count, seed) => labelledRows(count, seed, [0, 1, 2]));
    await checkAdapter(folder, "--dropout=0.1");
    assertEquals(
      JSON.parse(Deno.readTextFileSync(`${folder}/runs/whole/adapter/adapter_config.json`)).modules_to_save,
      ["classifier"],
    );
  }));

test("bert without a head: one is made for the classes of the data, and their names are saved with it", () =>
  inFolder(async (folder) => {
    const { num_labels: _, ...json } = SMALL.bert, all = tensorsOf(createModel(json));
    await writeModel(`${folder}/m`, json, { tensors: all.filter(({ name }) => !/classifier|pooler/.test(name)) });
    await writeRows(`${folder}/rows`, (count, seed) => labelledRows(count, seed, ["no", "maybe", "yes"]));
    const { eval_loss, accuracy } = await tuneTwice(folder, "model/model.safetensors", "--optim=frugal");
    const found = await evaluated(folder, "--model=runs/whole/model");
    assertEquals([found["eval_loss"], found["accuracy"]], [eval_loss, accuracy]);
    assertEquals(
      Object.values(JSON.parse(Deno.readTextFileSync(`${folder}/runs/whole/model/config.json`)).id2label).toSorted(),
      ["maybe", "no", "yes"],
    );
  }));

test("modules that are trained whole beside adapters are f32 again in eval, though the base is bfloat16", () =>
  inFolder(async (folder) => {
    await writeModel(`${folder}/m`, SMALL.llama, { tensors: inBfloat16(tensorsOf(createModel(SMALL.llama))) });
    await writeRows(`${folder}/rows`, idRows);
    await checkAdapter(folder, "--peft=lora r=2 modules_to_save=embed_tokens,lm_head use_rslora=true");
    const { eval_loss } = summaryOf(
      await tune(folder, "--run_name=on", "--peft=lora", "--adapter=runs/whole/adapter", "--learning_rate=1e-30"),
    );
    assertClose([Number(eval_loss)], [
      Number((await evaluated(folder, "--model=m", "--adapter=runs/whole/adapter"))["eval_loss"]),
    ], { name: "loss of an adapter that goes on", relative: 1e-6 });
  }));

test("optimizers find the layers of GPT-2; recomputed activations give the same bytes", () =>
  inFolder(async (folder) => {
    await writeModel(`${folder}/m`, SMALL.gpt2);
    await writeRows(`${folder}/rows`, idRows);
    for (const optim of ["badam", "galore"]) {
      await tuneTwice(folder, "model/model.safetensors", `--optim=${optim}`, "--optim_args=update_proj_gap=2");
      await Deno.remove(`${folder}/runs`, { recursive: true });
    }
    await tune(folder, "--run_name=kept", "--gradient_accumulation_steps=2");
    await tune(folder, "--run_name=again", "--gradient_accumulation_steps=2", "--gradient_checkpointing");
    assertEquals(
      bytesOf(`${folder}/runs/again/model/model.safetensors`),
      bytesOf(`${folder}/runs/kept/model/model.safetensors`),
    );
  }));

test(
  "conversations are trained on in the chat template of a tokenizer from another folder, which is saved with the " +
    "adapter",
  async () => {
    const files = [
      "stories260K/config.json",
      "stories260K/model.safetensors",
      "tokenizer-gpt2-style/tokenizer.json",
      "tokenizer-gpt2-style/tokenizer_config.json",
    ];
    const found = await Promise.all(files.map((file) => readShared(`fixtures/models/${file}`)));
    if (!found.every((bytes) => bytes !== null)) skip("no ../shared/fixtures/models");
    await inFolder(async (folder) => {
      for (const [i, file] of files.entries()) {
        await Deno.mkdir(`${folder}/${file.split("/")[0]}`, { recursive: true });
        await Deno.writeFile(`${folder}/${file}`, found[i]!);
      }
      const rows = Array.from(
        { length: 20 },
        (_, day) => ({
          messages: [{ role: "user", content: `Day ${day}?` }, { role: "assistant", content: `mat ${day % 4}.` }],
        }),
      );
      await Deno.writeTextFile(`${folder}/chat.jsonl`, jsonLines(rows));
      const chat = [
        "--model=stories260K",
        "--tokenizer=tokenizer-gpt2-style",
        "--dataset=chat.jsonl",
        "--max_length=128",
      ];
      await tune(folder, "--run_name=chat", "--peft=lora", "--packing", ...chat);
      assertEquals(filesBelow(`${folder}/runs/chat/adapter`), [
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
      ]);
      const plain = await scrimp(folder, [
        ...TUNE,
        ...chat.filter((arg) => !arg.startsWith("--tokenizer")),
        "--run_name=plain",
      ]);
      assert(plain.code === 2 && plain.stderr.startsWith("error: Cannot "), plain.stderr);
    });
  },
);

test("a run that is killed after any of its checkpoints goes on to the same adapter", () =>
  inFolder(async (folder) => {
    await writeModel(`${folder}/m`, SMALL.tied);
    await writeRows(`${folder}/rows`, idRows);
    const args = [...LORA, "--load_in_4bit", "--max_steps=12"];
    await tune(folder, "--run_name=whole", ...args);
    for (const count of [1, 4]) {
      const { signal } = await scrimpInterrupted(folder, [
        ...TUNE,
        ...args,
        "--save_steps=2",
        `--run_name=killed${count}`,
      ], { text: '"type":"checkpoint"', count, signal: "SIGKILL" });
      assertEquals(signal, "SIGKILL");
      await tune(folder, `--run_name=rest${count}`, `--resume_from_checkpoint=runs/killed${count}`, ...args);
      assertEquals(
        bytesOf(`${folder}/runs/rest${count}/adapter/adapter_model.safetensors`),
        bytesOf(`${folder}/runs/whole/adapter/adapter_model.safetensors`),
      );
    }
  }));

test("of two processes with one run_name one trains and the other is refused", () =>
  inFolder(async (folder) => {
    await writeModel(`${folder}/m`, SMALL.tied);
    await writeRows(`${folder}/rows`, idRows);
    const results = await Promise.all(
      [1, 2].map(() => scrimp(folder, [...TUNE, ...LORA, "--run_name=one", "--save_steps=2"])),
    );
    assertEquals(results.map(({ code }) => code).toSorted(), [0, 2]);
    assertEquals(
      results.find(({ code }) => code === 2)!.stderr,
      "error: Cannot start the run: runs/one exists already. Choose another run_name\n",
    );
    assert(filesBelow(`${folder}/runs/one`).includes("adapter/adapter_model.safetensors"), "the other one ended well");
  }));
