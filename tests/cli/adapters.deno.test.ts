// A model of an earlier run is trained on as a pretrained one: whole, in part, with adapters beside its frozen weights.

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

const TUNE = [
  "train",
  "--json",
  "--model=runs/base/model",
  "--dataset=text.txt",
  "--max_length=16",
  "--per_device_train_batch_size=2",
  "--max_steps=6",
  "--logging_steps=2",
  "--sample_tokens=2",
  "--eval_batches=1000",
  "--learning_rate=0.01",
];

/** A folder with the model runs/base/model, and the text that no run trains on. */
const withBase = (body: (folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const lines = linesOf(
      succeeded(await scrimp(folder, ["train", "--json", "--dataset=text.txt", "--run_name=base", ...TINY])),
    );
    await Deno.writeTextFile(`${folder}/validation.txt`, TEXT.slice(-validationTokensOf(lines)));
    await body(folder);
  });

const tune = async (folder: string, ...args: string[]): Promise<Line[]> =>
  linesOf(succeeded(await scrimp(folder, [...TUNE, ...args])));
const lossOf = (lines: readonly Line[]): number => Number((lines.at(-1)!["summary"] as Line)["eval_loss"]);
async function evaluated(folder: string, ...args: string[]): Promise<number> {
  const [line] = linesOf(
    succeeded(
      await scrimp(folder, [
        "eval",
        "--json",
        "--dataset=validation.txt",
        "--max_length=16",
        "--per_device_train_batch_size=2",
        ...args,
      ]),
    ),
  );
  return Number(line!["eval_loss"]);
}

test("an adapter is saved by a LoRA run, scores beside its base what it scored in training, and merged the same", () =>
  withBase(async (folder) => {
    const lines = await tune(folder, "--run_name=lora", "--peft=lora r=4 target_modules=all-linear"), start = lines[0]!;
    assertEquals([start["model"], start["parameters"], start["trainable_parameters"]], [
      "runs/base/model",
      6448 + 4 * 256,
      4 * 256,
    ]);
    assertEquals(filesBelow(`${folder}/runs/lora`), [
      "adapter",
      "adapter/adapter_config.json",
      "adapter/adapter_model.safetensors",
      "adapter/tokenizer.json",
      "adapter/tokenizer_config.json",
      "loss.svg",
      "metrics.jsonl",
      "training.json",
    ]);
    const adapted = ["--model=runs/base/model", "--adapter=runs/lora/adapter"];
    assertEquals(await evaluated(folder, ...adapted), lossOf(lines));
    const base = await evaluated(folder, "--model=runs/base/model");
    assert(lossOf(lines) < base - 0.01, `${lossOf(lines)} with the adapter, ${base} without`);
    assertEquals(succeeded(await scrimp(folder, ["merge", ...adapted, "--output=merged"])).stdout, "merged\n");
    assertEquals(filesBelow(`${folder}/merged`), filesBelow(`${folder}/runs/base/model`));
    // Merged weights are rounded once more than the products of two.
    assertClose([await evaluated(folder, "--model=merged")], [lossOf(lines)], {
      name: "loss of the merged model",
      relative: 1e-5,
    });
    succeeded(await scrimp(folder, ["generate", ...adapted, "--sample_tokens=2"]));
    const again = await scrimp(folder, ["merge", ...adapted, "--output=merged"]);
    assert(
      again.code === 2 &&
        again.stderr === "error: Cannot merge into merged: it exists already. Choose another folder\n",
      again.stderr,
    );
    // Zero steps further on the adapter is where it was.
    const rest = await tune(
      folder,
      "--run_name=rest",
      "--peft=lora",
      "--adapter=runs/lora/adapter",
      "--learning_rate=1e-30",
    );
    assertClose([lossOf(rest)], [lossOf(lines)], { name: "loss of an adapter that goes on", relative: 1e-6 });
  }));

test("with trainable_modules everything else is saved as it came, to the bit", () =>
  withBase(async (folder) => {
    const lines = await tune(folder, "--run_name=part", "--trainable_modules=mlp");
    assertEquals(lines[0]!["trainable_parameters"], 3 * 512);
    const weights = (run: string): Uint8Array => Deno.readFileSync(`${folder}/runs/${run}/model/model.safetensors`),
      [before, after] = [weights("base"), weights("part")];
    assertEquals(after.length, before.length);
    // Names, shapes and places are the same, so only bytes of three matrices may differ.
    const changed = before.reduce((count, byte, i) => count + (byte === after[i] ? 0 : 1), 0);
    assert(changed > 512 && changed <= 4 * 3 * 512, `${changed} bytes differ`);
    assertEquals(await evaluated(folder, "--model=runs/part/model"), lossOf(lines));
  }));

test(
  "a LoRA run on a base of four bits that is killed goes on in a new process with the same adapter; another base " +
    "is refused",
  () =>
    withBase(async (folder) => {
      const args = [
        "--peft=lora r=2",
        "--load_in_4bit",
        "--max_steps=60",
        "--save_steps=3",
        "--sample_steps=1000000",
        "--eval_steps=20",
      ];
      await tune(folder, "--run_name=whole", ...args);
      const { signal } = await scrimpInterrupted(folder, [...TUNE, "--run_name=half", ...args], {
        text: '"type":"checkpoint"',
        count: 2,
        signal: "SIGKILL",
      });
      assertEquals(signal, "SIGKILL");
      await tune(folder, "--run_name=rest", "--resume_from_checkpoint=runs/half", ...args);
      const adapter = (run: string): Uint8Array =>
        Deno.readFileSync(`${folder}/runs/${run}/adapter/adapter_model.safetensors`);
      assertEquals(adapter("rest"), adapter("whole"));
      succeeded(
        await scrimp(folder, ["train", "--json", "--dataset=text.txt", "--run_name=other", ...TINY, "--seed=7"]),
      );
      const other = await scrimp(folder, [
        ...TUNE,
        "--model=runs/other/model",
        "--run_name=no",
        "--resume_from_checkpoint=runs/half",
        ...args,
      ]);
      assert(
        other.code === 2 &&
          /^error: Cannot resume: the checkpoint was trained on runs\/base\/model [^\n]*add --ignore_base_hash\n$/.test(
            other.stderr,
          ),
        other.stderr,
      );
      const allowed = await scrimp(folder, [
        ...TUNE,
        "--model=runs/other/model",
        "--run_name=yes",
        "--resume_from_checkpoint=runs/half",
        "--ignore_base_hash",
        ...args,
      ]);
      assert(allowed.code === 0 && /^note: [^\n]*going on all the same\n$/.test(allowed.stderr), allowed.stderr);
    }),
);
