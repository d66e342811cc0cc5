// Writes what transformers and PEFT should open, and the logits they should then compute: for each model folder a LoRA
// run of a few steps, its
//   adapter, the merged model, and the logits of both. check.py reads it.
//   node tests/round_trip/run.mjs OUTPUT_FOLDER MODEL_FOLDER…

import { adapterFiles } from "../../src/checkpoint/model/peft_adapter.ts";
import { encodeJson, type FolderFiles, modelFiles } from "../../src/checkpoint/model/save.ts";
import { encodeSafetensors } from "../../src/checkpoint/safetensors/writer.ts";
import { directoryFolder } from "../../src/checkpoint/source/directory.deno.ts";
import { openPretrained } from "../../src/checkpoint/model/pretrained.ts";
import { writeFolder } from "../../src/checkpoint/model/directory.deno.ts";
import type { Batch } from "../../src/data/batch.ts";
import { IdTokenizer } from "../../src/tokenizer/id_tokenizer.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { uniform } from "../../src/random/philox.ts";
import type { Model } from "../../src/models/architecture.ts";
import { classesOf, createModel, recordLogits } from "../../src/models/model.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { tensor } from "../../src/plan/tensor.ts";
import { parseConfig } from "../../src/recipe/config/config.ts";
import type { RunData } from "../../src/recipe/data.ts";
import { loaderOf } from "../../src/recipe/fine_tuning.ts";
import { BatchWriter, type InputValues, sequenceInputs } from "../../src/train/batch_inputs.ts";
import { planPrograms, type Tables, tablesOf, tableTensors } from "../../src/train/programs.ts";
import { loraOf } from "../../src/recipe/trained_model.ts";
import { prepareRun } from "../../src/recipe/run.ts";
import { Trainer } from "../../src/train/trainer.ts";

const B = 2, T = 16, STEPS = 5;
const [output, ...folders] = Deno.args;
if (!output || folders.length === 0) {
  console.error("error: Cannot export nothing: expected OUTPUT_FOLDER MODEL_FOLDER…");
  Deno.exit(2);
}
const gpu = await openGpu();
for (const folder of folders) console.log(await exportModel(folder));
Deno.exit(0);

/**
 * Trains an adapter on random tokens, so that merged and plain weights differ, and writes everything below output/NAME.
 */
async function exportModel(path: string): Promise<string> {
  const pretrained = await openPretrained(directoryFolder(path));
  const { architecture, json } = pretrained, plain = createModel(json), { vocab_size } = plain.config;
  const config = parseConfig({
    model: path,
    peft: "lora r=4 target_modules=all-linear",
    max_steps: STEPS,
    learning_rate: 5e-3,
    max_length: T,
    per_device_train_batch_size: B,
    dropout: 0,
  });
  const data: RunData = {
    packed: false,
    batches: (step) => [randomBatch(plain, step)],
    validation: () => [],
    position: () => null,
    resume() {},
    close: () => Promise.resolve(),
    summary: {},
    fingerprint: "",
  };
  const run = prepareRun(config, {
    tokenizer: new IdTokenizer(vocab_size),
    data,
    base: { architecture, json, storedAs: pretrained.storedAs },
  }, gpu.target);
  const tables = tablesOf(run.model, T), logits = logitsProgram(run.model, tables);
  const trainer = await Trainer.create(
    gpu,
    run.model,
    run.programs,
    planPrograms({ ...run.programs, hooks: [logits] }),
    {
      seed: 1,
      load: loaderOf(pretrained, undefined),
    },
  );
  for (const { tensor, values } of Object.values(tables)) trainer.executor.write(tensor, values());
  for (let step = 0; step < STEPS; step++) trainer.step(await run.data.batches(step), 5e-3);

  const batch = randomBatch(plain, STEPS), inputs: InputValues = new Map();
  new BatchWriter(run.model).addSequences(inputs, logits.batch, batch);
  trainer.executor.writeInputs(inputs);
  trainer.executor.run(logits);
  const shape = classesOf(plain) ? logits.out.shape : [B, T, vocab_size];
  const computed = encodeSafetensors([
    { name: "input_ids", dtype: "I32", shape: [B, T], data: new Int32Array(batch.input_ids) },
    { name: "logits", dtype: "F32", shape, data: await trainer.executor.read(logits.out) },
  ], new Map([["format", "pt"]]));
  const target = `${output}/${path.replace(/\/+$/, "").split("/").pop()!}`;
  await Deno.mkdir(target, { recursive: true });
  await writeFolder(
    `${target}/base`,
    modelFiles({
      ...pretrained,
      model: {
        ...plain,
        parameters: run.model.parameters.filter((p) =>
          plain.parameters.some(({ value }) => value.label === p.value.label)
        ),
      } as Model,
      tokenizer: null,
    }, trainer.executor),
  );
  await writeFolder(
    `${target}/merged`,
    modelFiles({ ...pretrained, model: run.model, tokenizer: null }, trainer.executor),
  );
  await writeFolder(
    `${target}/adapter`,
    adapterFiles({ model: run.model, config: loraOf(config)!, base: "../base", revision: null }, trainer.executor),
  );
  await writeFolder(
    `${target}/expected`,
    new Map([["logits.safetensors", computed], [
      "task.json",
      encodeJson({ classification: classesOf(plain) !== undefined }),
    ]]) as FolderFiles,
  );
  trainer.destroy();
  return target;
}

function randomBatch(model: Model, step: number): Batch {
  const { vocab_size } = model.config, classes = classesOf(model)?.length;
  const draw = (purpose: string, count: number, below: number) =>
    Uint32Array.from({ length: count }, (_, i) => Math.floor(uniform(1, purpose, step, i) * below));
  // Not the first few ids: one of them may be the padding, which transformers would mask.
  const input_ids = draw("tokens", B * T, vocab_size - 4).map((id) => id + 4);
  return { input_ids, labels: classes ? draw("labels", B, classes) : draw("labels", B * T, vocab_size) };
}

function logitsProgram(model: Model, tables: Tables) {
  const r = new Recorder({ target: gpu.target, training: false }),
    classes = classesOf(model);
  const batch = sequenceInputs("export", model, { B, T, packed: false, training: false });
  const out = tensor("exported logits", classes ? [B, classes.length] : [B * T, model.config.vocab_size], "output");
  recordLogits(r, model, { ...batch, ...tableTensors(tables) }, out);
  return { name: "export", steps: r.steps, batch, out };
}
