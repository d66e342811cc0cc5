// A pretrained model learns and forgets, by method: stories260K is fine-tuned on the first nine tenths of
// tinyshakespeare; its loss on the
// last tenth and on its own stories, each method at the best of its learning rates, and the bytes of its gradients and
// optimizer state.
//   npm run bench -- --fine-tuning [--methods adamw,lora] [--steps N] [--output FILE.json]
// Results are kept as they come: a run that was interrupted goes on.

import { parseArgs } from "node:util";
import { directoryFolder } from "../../src/checkpoint/source/directory.deno.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { IGNORED } from "../../src/data/ignored.ts";
import { countParameters } from "../../src/models/parameter.ts";
import { bytesByRole } from "../../src/plan/ledger.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import { NonFiniteLossError } from "../../src/train/events.ts";
import { prepareFineTuning } from "../../src/recipe/fine_tuning.ts";
import { train } from "../../src/train/loop.ts";
import { prepareRun, type Run } from "../../src/recipe/run.ts";
import type { Trainer } from "../../src/train/trainer.ts";

const { values: { methods: requested, steps, output, shared } } = parseArgs({
  options: {
    methods: { type: "string" },
    steps: { type: "string", default: "600" },
    output: { type: "string", default: "fine_tuning.json" },
    shared: { type: "string", default: "../shared" },
  },
});

/** Settings of a method, and the learning rates that it is tried with. */
const METHODS: Readonly<
  Record<string, { readonly settings: Readonly<Record<string, unknown>>; readonly rates: readonly number[] }>
> = {
  adamw: { settings: { optim: "adamw" }, rates: [1e-3, 3e-3, 1e-2] },
  frugal: { settings: { optim: "frugal" }, rates: [1e-3, 3e-3, 1e-2] },
  frugal_blocks: { settings: { optim: "frugal_blocks" }, rates: [1e-3, 3e-3, 1e-2] },
  galore: { settings: { optim: "galore" }, rates: [1e-3, 3e-3, 1e-2, 3e-2] },
  fira: { settings: { optim: "fira" }, rates: [1e-3, 3e-3, 1e-2, 3e-2] },
  sign_sgd: { settings: { optim: "sign_sgd" }, rates: [1e-4, 3e-4, 1e-3, 3e-3] },
  "lora r=8": { settings: { peft: "lora r=8 lora_alpha=16 target_modules=all-linear" }, rates: [3e-3, 1e-2, 3e-2] },
};

interface Result {
  readonly method: string;
  readonly learning_rate: number;
  readonly eval_loss: number | null;
  readonly stories_loss: number | null;
  readonly gradient_bytes: number;
  readonly state_bytes: number;
  readonly trainable_parameters: number;
}

const folder = `${shared}/fixtures/models/stories260K`;
const text = await Deno.readTextFile(`${shared}/data/tinyshakespeare.txt`);
const { story_windows } = JSON.parse(await Deno.readTextFile(`${folder}/expected.json`)) as {
  story_windows: { ids: number[] }[];
};
const results: Result[] = JSON.parse(await Deno.readTextFile(output).catch(() => "[]"));
const gpu = await openGpu();

for (const [method, { settings, rates }] of Object.entries(METHODS)) {
  if (requested && !requested.split(",").includes(method)) continue;
  for (const learning_rate of rates) {
    if (results.some((done) => done.method === method && done.learning_rate === learning_rate)) continue;
    results.push(await measure(method, settings, learning_rate));
    await Deno.writeTextFile(output, JSON.stringify(results, null, 1));
    console.log(JSON.stringify(results.at(-1)));
  }
}
Deno.exit(0);

async function measure(
  method: string,
  settings: Readonly<Record<string, unknown>>,
  learning_rate: number,
): Promise<Result> {
  const config = parseConfig({
    ...{
      model: folder,
      max_steps: Number(steps),
      max_length: 128,
      per_device_train_batch_size: 8,
      warmup_steps: 30,
      weight_decay: 0.1,
    },
    ...{
      lr_scheduler_type: "cosine",
      adam_beta1: 0.9,
      adam_beta2: 0.95,
      max_grad_norm: 1,
      validation_split: 0.1,
      eval_steps: 1e6,
      eval_batches: 1e6,
      sample_steps: 1e6,
      sample_tokens: 1,
    },
    ...settings,
    learning_rate,
  });
  const { prepared, load, config: complete } = await prepareFineTuning(config, {
    model: directoryFolder(folder),
    dataset: text,
  });
  const run = prepareRun(complete, prepared, gpu.target);
  const bytes = bytesByRole(run.plan.buffers),
    trained = run.model.parameters.filter(({ needsGradient }) => needsGradient);
  const facts = {
    method,
    learning_rate,
    gradient_bytes: bytes.gradient,
    state_bytes: bytes.state,
    trainable_parameters: countParameters(trained),
  };
  let eval_loss: number | null = null;
  try {
    const trainer = await train(gpu, run, { stopped: () => false, unpaused: () => Promise.resolve() }, (event) => {
      if (event.type === "end") eval_loss = event.summary.eval_loss;
    }, { load });
    const stories_loss = await lossOnStories(trainer, run);
    trainer.destroy();
    return { ...facts, eval_loss, stories_loss };
  } catch (error) {
    if (!(error instanceof NonFiniteLossError)) throw error;
    return { ...facts, eval_loss: null, stories_loss: null };
  }
}

/** Its loss on stories that it was pretrained for, in the windows of the fixture, cut into sequences of 128. */
async function lossOnStories(trainer: Trainer, { programs }: Run): Promise<number> {
  const B = 8, T = 128;
  const pieces = story_windows.flatMap(({ ids }) => [ids.slice(0, T + 1), ids.slice(T, 2 * T + 1)]);
  const input_ids = new Uint32Array(B * T), labels = new Uint32Array(B * T).fill(IGNORED);
  pieces.slice(0, B).forEach((ids, row) => {
    input_ids.set(ids.slice(0, -1), row * T);
    labels.set(ids.slice(1), row * T);
  });
  return (await trainer.evaluate(programs.evaluate, [{ input_ids, labels }])).eval_loss;
}
