// Checkpoints that do not fit the run that is to go on from them, or are damaged: one line that names the way out,
// nothing left behind.

import { createModel } from "../../src/models/model.ts";
import { tensorsOf } from "../checkpoint/model/folders.ts";
import { assert, assertEquals, test } from "../harness.ts";
import { SMALL } from "../models/small_models.ts";
import { idRows, inBfloat16, jsonLines, writeModel } from "./model_folder.deno.ts";
import { filesBelow, inFolder, scrimp, succeeded } from "./program.deno.ts";

const TRAIN = [
  "train",
  "--json",
  "--max_length=8",
  "--per_device_train_batch_size=2",
  "--max_steps=4",
  "--save_steps=2",
  "--eval_batches=2",
  "--sample_tokens=1",
];
const RUN = ["--model=m", "--dataset=ids.jsonl"], RESUME = "--resume_from_checkpoint=runs/one";

interface Refused {
  readonly args: readonly string[];
  readonly tells: readonly string[];
}

const REFUSED: readonly Refused[] = [
  {
    args: ["--model=other", "--dataset=ids.jsonl", RESUME],
    tells: ["the checkpoint was trained on m (model.safetensors of sha256", "add --ignore_base_hash"],
  },
  { args: ["--model=m", "--dataset=more.jsonl", RESUME], tells: ["it was trained on other data"] },
  { args: [...RUN, RESUME, "--learning_rate=0.5"], tells: ['"learning_rate" 0.5', "training.json"] },
  { args: [...RUN, RESUME, "--optim=frugal"], tells: ['"optim" "frugal"', '"adamw"'] },
  { args: [...RUN, RESUME, "--trainable_modules=layers.1"], tells: ['"trainable_modules"', "--freeze_trained"] },
  { args: [...RUN, RESUME, "--peft=lora"], tells: ['"peft"', "--thaw or --freeze_trained"] },
  { args: [...RUN, "--resume_from_checkpoint=nowhere"], tells: ["Cannot resume from nowhere: there is no such file"] },
  {
    args: [...RUN, "--resume_from_checkpoint=m"],
    tells: ["Cannot resume from m: the folder has no checkpoint", "save_steps"],
  },
  { args: [...RUN, "--resume_from_checkpoint=m/model.safetensors"], tells: ["it is not a training checkpoint"] },
  { args: [...RUN, "--resume_from_checkpoint=cut"], tells: ["cut/checkpoint-4.safetensors"] },
  { args: [...RUN, "--run_name=one"], tells: ["runs/one exists already", "run_name"] },
];

test(
  "a checkpoint of another base, other data or settings, or a damaged one is refused; what a flag allows is then " +
    "allowed",
  () =>
    inFolder(async (folder) => {
      const tensors = tensorsOf(createModel(SMALL.llama));
      await writeModel(`${folder}/m`, SMALL.llama, { tensors });
      await writeModel(`${folder}/other`, SMALL.llama, { tensors: inBfloat16(tensors) });
      await Deno.writeTextFile(`${folder}/ids.jsonl`, jsonLines(idRows(40, 1)));
      await Deno.writeTextFile(`${folder}/more.jsonl`, jsonLines(idRows(41, 1)));
      succeeded(await scrimp(folder, [...TRAIN, ...RUN, "--run_name=one"]));
      await Deno.mkdir(`${folder}/cut`);
      await Deno.writeFile(
        `${folder}/cut/checkpoint-4.safetensors`,
        Deno.readFileSync(`${folder}/runs/one/checkpoint-4.safetensors`).slice(0, -1),
      );
      const before = filesBelow(folder);
      for (const { args, tells } of REFUSED) {
        const { code, stderr } = await scrimp(
          folder,
          [...TRAIN, "--run_name=two", ...args].filter((arg) =>
            arg !== "--run_name=two" || !args.includes("--run_name=one")
          ),
        );
        assertEquals(code, 2, `${args.join(" ")}: ${stderr}`);
        assert(/^error: [^\n]+\n$/.test(stderr), `expected one line, got ${JSON.stringify(stderr)}`);
        for (const text of tells) assert(stderr.includes(text), `"${text}" is not in ${stderr}`);
        assertEquals(filesBelow(folder), before);
      }
      // Beside one that is damaged there is one that is whole.
      await Deno.copyFile(`${folder}/runs/one/checkpoint-2.safetensors`, `${folder}/cut/checkpoint-2.safetensors`);
      const older = await scrimp(folder, [...TRAIN, ...RUN, "--run_name=older", "--resume_from_checkpoint=cut"]);
      assert(older.code === 0 && /^note: [^\n]+\n$/.test(older.stderr), older.stderr);
      assertEquals(
        Deno.readFileSync(`${folder}/runs/older/model/model.safetensors`),
        Deno.readFileSync(`${folder}/runs/one/model/model.safetensors`),
      );
      const allowed = await scrimp(folder, [
        ...TRAIN,
        "--model=other",
        "--dataset=ids.jsonl",
        RESUME,
        "--run_name=other",
        "--ignore_base_hash",
      ]);
      assert(allowed.code === 0 && allowed.stderr.includes("going on all the same"), allowed.stderr);
    }),
);
