import { ROLES } from "../../src/plan/tensor.ts";
import { assert, assertClose, assertEquals, test } from "../harness.ts";
import {
  filesBelow,
  inFolder,
  type Line,
  linesOf,
  scrimp,
  scrimpInterrupted,
  succeeded,
  TEXT,
  TINY,
  validationTokensOf,
} from "./program.deno.ts";

const SUMMARY = [
  "steps",
  "train_loss",
  "eval_loss",
  "labels",
  "parameters",
  "trainable_parameters",
  "tokens_per_second",
  "planned_bytes",
  "allocated_bytes",
  "submits_per_step",
  "dispatches_per_step",
  "buffers_created_per_step",
  "bind_groups_created_per_step",
  "adapter",
];
const RUN_FILES = [
  "loss.svg",
  "metrics.jsonl",
  "model",
  "model/config.json",
  "model/model.safetensors",
  "model/tokenizer.json",
  "model/tokenizer_config.json",
  "training.json",
];

const summaryOf = (lines: readonly Line[]): Line => lines.at(-1)!["summary"] as Line;
const read = (path: string): string => Deno.readTextFileSync(path);

test("train --json prints one object a line, the plan first and the summary last, and leaves a run folder", () =>
  inFolder(async (folder) => {
    const lines = linesOf(
      succeeded(
        await scrimp(folder, [
          "train",
          "--json",
          "--dataset",
          "text.txt",
          "--output_dir=out",
          "--run_name=a",
          "--eval_steps=2",
          ...TINY,
        ]),
      ),
    );
    assertEquals(Object.keys(lines[0]!), [
      "adapter",
      "model",
      "dataset",
      "parameters",
      "trainable_parameters",
      "vocab_size",
      "data",
      "ledger",
    ]);
    assertEquals([
      lines[0]!["model"],
      lines[0]!["parameters"],
      lines[0]!["trainable_parameters"],
      Object.keys(lines[0]!["data"] as object),
    ], ["LLaMA", 6448, 6448, ["train_tokens", "validation_tokens"]]);
    assertEquals(lines.slice(1, -1).map(({ type, step }) => [type, step]), [
      ["step", 1],
      ["step", 2],
      ["evaluation", 2],
      ["step", 3],
      ["step", 4],
      ["evaluation", 4],
      ["sample", 4],
    ]);
    assertEquals(Object.keys(lines.at(-1)!), ["summary"]);
    const summary = summaryOf(lines);
    for (const key of SUMMARY) assert(summary[key] !== undefined && summary[key] !== null, `the summary has no ${key}`);
    assertEquals(Object.keys(summary["planned_bytes"] as object), [...ROLES]);
    assertEquals(summary["allocated_bytes"], summary["planned_bytes"]);
    assertEquals([
      summary["steps"],
      summary["submits_per_step"],
      summary["buffers_created_per_step"],
      summary["bind_groups_created_per_step"],
      summary["path"],
    ], [4, 1, 0, 0, "out/a"]);

    assertEquals(filesBelow(`${folder}/out/a`), RUN_FILES);
    for (const path of RUN_FILES) assert(Deno.statSync(`${folder}/out/a/${path}`).size > 0, `${path} is empty`);
    const reported = lines.slice(1, -1).map(({ type: _type, ...values }) => values);
    const kept = linesOf({ stdout: read(`${folder}/out/a/metrics.jsonl`) });
    assertEquals(kept.slice(0, -1), reported);
    assertEquals((kept.at(-1)!["summary"] as Line)["eval_loss"], summary["eval_loss"]);
    assert(/^<svg [\s\S]*<\/svg>\n$/.test(read(`${folder}/out/a/loss.svg`)), "loss.svg is no picture");
  }));

test("a run's training.json repeats it, and flags change it", () =>
  inFolder(async (folder) => {
    const train = async (...args: string[]): Promise<Line> =>
      summaryOf(linesOf(succeeded(await scrimp(folder, ["train", "--json", ...args]))));
    const first = await train("--dataset=text.txt", "--run_name=a", ...TINY);
    const again = await train("--config=runs/a/training.json", "--run_name=b");
    assertEquals([again["train_loss"], again["eval_loss"]], [first["train_loss"], first["eval_loss"]]);
    const other = await train("--config", "runs/a/training.json", "--run-name", "c", "--seed", "7", "--max_steps=2");
    assertEquals(other["steps"], 2);
    assert(other["train_loss"] !== first["train_loss"], "the flags were not heard");
  }));

test("flags win over the file, whichever name each uses for a setting, and every alias is noted", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify({ lr: 0.5, iters: 9, optim: "sgd" }));
    const { code, stderr } = await scrimp(folder, [
      "train",
      "--json",
      "--config=config.json",
      "--dataset=text.txt",
      "--run_name=a",
      ...TINY,
      "--learning_rate=0.25",
      "--optimizer=signsgd",
    ]);
    assertEquals([code, stderr], [
      0,
      [["optimizer", "optim"], ["lr", "learning_rate"], ["iters", "max_steps"]]
        .map(([alias, name]) => `note: "${alias}" is read as "${name}"\n`).join(""),
    ]);
    const { learning_rate, max_steps, optim } = JSON.parse(read(`${folder}/runs/a/training.json`)) as Line;
    assertEquals([learning_rate, max_steps, optim], [0.25, 4, "sign_sgd"]);
  }));

test(
  "without a terminal train prints plain lines: adapter and memory plan before the first step, the " +
    "run folder last",
  () =>
    inFolder(async (folder) => {
      const { stdout } = succeeded(await scrimp(folder, ["train", "--dataset=text.txt", "--run_name=a", ...TINY]));
      assert(!stdout.includes("\u001b") && !stdout.includes("\r"), "escape codes in a pipe");
      const order = [
        "adapter      ",
        "data         text.txt: ",
        "model        LLaMA, 6,448 parameters",
        "role  ",
        "trainable  ",
        "total  ",
        "step 1/4  loss 5.",
        "validation loss ",
        "sample: ",
        "done         4 steps",
        "loss         training ",
        "loss curve   runs/a/loss.svg",
        "run          runs/a\n",
      ];
      let at = -1;
      for (const text of order) {
        const next = stdout.indexOf(text, at + 1);
        assert(next > at, `"${text}" is missing or too early in:\n${stdout}`);
        at = next;
      }
    }),
);

test("a vocabulary larger than the text gives is as large as the text gives", () =>
  inFolder(async (folder) => {
    const [start] = linesOf(
      succeeded(
        await scrimp(folder, [
          "train",
          "--json",
          "--dataset=text.txt",
          ...TINY,
          "--tokenizer=bpe",
          "--vocab_size=4096",
          "--max_steps=1",
        ]),
      ),
    );
    const vocabulary = Number(start!["vocab_size"]);
    assert(vocabulary > 256 && vocabulary < 4096, `vocab_size ${vocabulary}`);
  }));

test("an interrupt ends the run after its step: model saved, status 0", () =>
  inFolder(async (folder) => {
    const args = [
      "train",
      "--json",
      "--dataset=text.txt",
      "--run_name=a",
      ...TINY,
      "--logging_steps=1",
      "--max_steps=1000000",
      "--sample_steps=1000000",
      "--eval_steps=1000000",
    ];
    const result = await scrimpInterrupted(folder, args, { text: '"type":"step"', count: 3, signal: "SIGINT" });
    assertEquals([result.code, result.stderr], [
      0,
      "note: stopping after this step; press Ctrl-C again to quit at once\n",
    ]);
    const lines = linesOf(result), steps = Number(summaryOf(lines)["steps"]);
    assert(steps >= 3 && steps < 1_000_000, `${steps} steps`);
    assertEquals(
      lines.filter(({ type }) => type === "step").map(({ step }) => step),
      [...Array(steps).keys()].map((n) => n + 1),
    );
    assertEquals(filesBelow(`${folder}/runs/a`), RUN_FILES);
    succeeded(await scrimp(folder, ["generate", "--model=runs/a/model", "--sample_tokens=2"]));
  }));

test("a run that is killed leaves no half a model", () =>
  inFolder(async (folder) => {
    const args = [
      "train",
      "--json",
      "--dataset=text.txt",
      "--run_name=a",
      ...TINY,
      "--logging_steps=1",
      "--max_steps=1000000",
    ];
    const { signal } = await scrimpInterrupted(folder, args, { text: '"type":"step"', count: 3, signal: "SIGKILL" });
    assertEquals(signal, "SIGKILL");
    assertEquals(filesBelow(`${folder}/runs/a`), ["metrics.jsonl", "training.json"]);
    const whole = read(`${folder}/runs/a/metrics.jsonl`).split("\n").slice(0, -1);
    assertEquals(whole.slice(0, 3).map((line) => (JSON.parse(line) as Line)["step"]), [1, 2, 3]);
  }));

test("eval finds the loss that the run ended with, from the saved model and the same text", () =>
  inFolder(async (folder) => {
    // With all of the validation part, which for bytes is the end of the text.
    const lines = linesOf(
      succeeded(
        await scrimp(folder, ["train", "--json", "--dataset=text.txt", "--run_name=a", ...TINY, "--eval_batches=1000"]),
      ),
    );
    await Deno.writeTextFile(`${folder}/validation.txt`, TEXT.slice(-validationTokensOf(lines)));
    const [found] = linesOf(
      succeeded(
        await scrimp(folder, [
          "eval",
          "--json",
          "--model=runs/a/model",
          "--dataset=validation.txt",
          "--per_device_train_batch_size=2",
        ]),
      ),
    );
    const { eval_loss, perplexity, labels } = found!;
    // Every token but the first is a label.
    assertEquals([eval_loss, labels, labels], [
      summaryOf(lines)["eval_loss"],
      summaryOf(lines)["labels"],
      validationTokensOf(lines) - 1,
    ]);
    assertClose([Number(perplexity)], [Math.exp(Number(eval_loss))], { name: "perplexity", relative: 1e-12 });
    // Another batch size adds the same losses in another order.
    const [other] = linesOf(
      succeeded(
        await scrimp(folder, [
          "eval",
          "--json",
          "--model=runs/a/model",
          "--dataset=validation.txt",
          "--per_device_train_batch_size=5",
        ]),
      ),
    );
    assertClose([Number(other!["eval_loss"])], [Number(eval_loss)], { name: "eval_loss", relative: 1e-6 });
  }));
