// A training run that is killed and goes on in another process, and models that are saved otherwise than they are
// trained.

import { assert, assertClose, assertEquals, test } from "../harness.ts";
import {
  inFolder,
  type Line,
  linesOf,
  scrimp,
  scrimpInterrupted,
  succeeded,
  TINY,
  validationTokensOf,
} from "./program.deno.ts";

/**
 * Long enough to be killed on the way: a switch of the projector every third step, so that most checkpoints stand
 * within a period.
 */
const LONG = [
  "train",
  "--json",
  "--dataset=text.txt",
  ...TINY,
  "--max_steps=90",
  "--logging_steps=4",
  "--save_steps=5",
  "--eval_steps=12",
  "--eval_batches=1",
  "--sample_steps=1000000",
  "--optim=fira",
  "--optim_args=update_gap=3",
];

const checkpointsIn = (path: string): string[] =>
  [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.startsWith("checkpoint")).sort();

test("the last two checkpoints are kept, or as many as save_total_limit says", () =>
  inFolder(async (folder) => {
    const train = async (...args: string[]): Promise<void> =>
      void succeeded(
        await scrimp(folder, [
          "train",
          "--json",
          "--dataset=text.txt",
          ...TINY,
          "--max_steps=5",
          "--save_steps=1",
          ...args,
        ]),
      );
    await train("--run_name=a");
    assertEquals(checkpointsIn(`${folder}/runs/a`), ["checkpoint-4.safetensors", "checkpoint-5.safetensors"]);
    await train("--run_name=b", "--save_total_limit=3");
    assertEquals(checkpointsIn(`${folder}/runs/b`), [
      "checkpoint-3.safetensors",
      "checkpoint-4.safetensors",
      "checkpoint-5.safetensors",
    ]);
  }));

test(
  "a run killed at any moment goes on from its checkpoint in a new process and saves the same " +
    "model, bit by bit",
  () =>
    inFolder(async (folder) => {
      succeeded(await scrimp(folder, [...LONG, "--run_name=whole"]));
      const { signal } = await scrimpInterrupted(folder, [...LONG, "--run_name=half"], {
        text: '"type":"checkpoint"',
        count: 3,
        signal: "SIGKILL",
      });
      assertEquals(signal, "SIGKILL");
      const lines = linesOf(
        succeeded(await scrimp(folder, [...LONG, "--run_name=rest", "--resume_from_checkpoint=runs/half"])),
      );
      const first = lines.find(({ type }) => type === "step")!;
      assert(Number(first["step"]) > 15 && Number(first["step"]) % 5 === 1, `went on at step ${first["step"]}`);
      const model = (run: string): Uint8Array => Deno.readFileSync(`${folder}/runs/${run}/model/model.safetensors`);
      assertEquals(model("rest"), model("whole"));
    }),
);

test("resuming with other settings, or from no checkpoint, is refused in one line and leaves nothing behind", () =>
  inFolder(async (folder) => {
    succeeded(
      await scrimp(folder, ["train", "--json", "--dataset=text.txt", ...TINY, "--save_steps=2", "--run_name=a"]),
    );
    await Deno.writeTextFile(`${folder}/other.txt`, `${await Deno.readTextFile(`${folder}/text.txt`)}!`);
    assertEquals(checkpointsIn(`${folder}/runs/a`), ["checkpoint-2.safetensors", "checkpoint-4.safetensors"]);
    const resume = (...args: string[]) =>
      scrimp(folder, ["train", "--json", "--dataset=text.txt", ...TINY, "--save_steps=2", "--run_name=b", ...args]);
    for (
      const [args, message] of [
        [
          ["--resume_from_checkpoint=runs/a", "--weight_decay=0.3"],
          'Cannot resume with "weight_decay" 0.3: the checkpoint was saved with 0.1',
        ],
        [
          ["--resume_from_checkpoint=runs/a/model/model.safetensors"],
          "it is not a training checkpoint. Give a run's folder or one of its checkpoint files",
        ],
        [["--resume_from_checkpoint=text.txt"], "Cannot read ./text.txt: "],
        [["--resume_from_checkpoint=nowhere"], "Cannot resume from nowhere: there is no such file"],
        [
          ["--resume_from_checkpoint=runs"],
          "Cannot resume from runs: the folder has no checkpoint; save_steps writes some",
        ],
        [["--resume_from_checkpoint=runs/a", "--frozen_modules=embed"], "add --thaw or --freeze_trained"],
        [
          ["--resume_from_checkpoint=runs/a", "--dataset=other.txt"],
          "it was trained on other data. Give the dataset that it was saved with",
        ],
      ] as const
    ) {
      const { code, stderr } = await resume(...args);
      assertEquals(code, 2);
      assert(
        stderr.startsWith("error: ") && stderr.includes(message) && stderr.trim().split("\n").length === 1,
        stderr,
      );
    }
    assertEquals([...Deno.readDirSync(`${folder}/runs`)].map(({ name }) => name), ["a"]);
  }));

test(
  "a factorised model and a bf16 one are saved as what everybody reads, and score there what they scored in " +
    "training",
  () =>
    inFolder(async (folder) => {
      for (
        const [name, ...args] of [["factors", "--factor_rank=4", "--refactor_steps=2"], [
          "bf16",
          "--dtype=bfloat16",
        ]] as const
      ) {
        const lines = linesOf(
          succeeded(
            await scrimp(folder, [
              "train",
              "--json",
              "--dataset=text.txt",
              ...TINY,
              `--run_name=${name}`,
              "--eval_batches=1000",
              ...args,
            ]),
          ),
        );
        const summary = lines.at(-1)!["summary"] as Line;
        const text = await Deno.readTextFile(`${folder}/text.txt`);
        await Deno.writeTextFile(`${folder}/validation.txt`, text.slice(-validationTokensOf(lines)));
        const [found] = linesOf(
          succeeded(
            await scrimp(folder, [
              "eval",
              "--json",
              `--model=runs/${name}/model`,
              "--dataset=validation.txt",
              "--per_device_train_batch_size=2",
            ]),
          ),
        );
        // The product of factors is rounded once more than their two products were; bf16 is exact in f32.
        assertClose([Number(found!["eval_loss"])], [Number(summary["eval_loss"])], {
          name,
          relative: name === "bf16" ? 0 : 1e-5,
        });
      }
    }),
);
