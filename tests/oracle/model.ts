import type { Gpu } from "../../src/gpu/device.ts";
import { loadWeights } from "../../src/checkpoint/model/load.ts";
import { adapterFiles, loadAdapter, readAdapterConfig } from "../../src/checkpoint/model/peft_adapter.ts";
import { openPretrained, type Pretrained } from "../../src/checkpoint/model/pretrained.ts";
import { modelFiles } from "../../src/checkpoint/model/save.ts";
import { openCheckpoint, openSafetensors } from "../../src/checkpoint/safetensors/reader.ts";
import { blobSource } from "../../src/checkpoint/source/blob.ts";
import type { Folder } from "../../src/checkpoint/source/source.ts";
import { freeze } from "../../src/models/freeze.ts";
import { type LoraConfig, mergedWeight, withLora } from "../../src/models/lora.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import type { Model } from "../../src/models/architecture.ts";
import { classesOf, createModel, recordLogits } from "../../src/models/model.ts";
import { linearLayers } from "../../src/models/parts.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { planMemory } from "../../src/plan/memory.ts";
import { Recorder } from "../../src/plan/recorder.ts";
import { type Tensor, tensor } from "../../src/plan/tensor.ts";
import { BatchWriter, type InputValues, type SequenceInputs, sequenceInputs } from "../../src/train/batch_inputs.ts";
import {
  planPrograms,
  type PreparedProgram,
  recordTrain,
  type Tables,
  tablesOf,
  tableTensors,
  type TrainProgram,
} from "../../src/train/programs.ts";
import { Session } from "../../src/train/session.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type RawBatch, toBatch } from "./batch.ts";
import {
  collectFiles,
  type FixtureTensor,
  folderOf,
  memoryFolder,
  type OracleCase,
  oracleCase,
  type ReadFile,
  readJson,
  readTensors,
} from "./files.ts";
import { largestDifference, normOf, relativeL2 } from "./measures.ts";

interface Expected {
  readonly loss: number;
  readonly grad_norm: number;
  /** The folder of an adapter's model, beside it. */
  readonly base?: string;
  readonly gradient_is_zero_in_exact_arithmetic?: Record<string, [number, number]>;
  readonly train?: {
    readonly betas: [number, number];
    readonly eps: number;
    readonly weight_decay: number;
    readonly max_grad_norm: number;
    readonly weight_decay_on: string[];
    readonly steps: { loss: number; grad_norm: number; lr: number }[];
    readonly final?: Record<string, { l2: number }>;
  };
  readonly tolerance: Record<string, number>;
}

/** A fixture that was read, and how its weights come to the device. */
interface Fixture {
  readonly name: string;
  readonly expected: Expected;
  readonly pretrained: Pretrained;
  readonly adapter?: { readonly config: LoraConfig; readonly folder: Folder } | undefined;
  readonly want: Map<string, FixtureTensor>;
  /** The prefix of PEFT's keys. */
  readonly prefix: string;
}

/** Logits, loss, gradients and training trajectory of a Hugging Face checkpoint or a PEFT adapter against PyTorch's. */
export async function replayModel(gpu: Gpu, read: ReadFile, directory: string): Promise<OracleCase[]> {
  const name = directory.replace(/\/+$/, "").split("/").pop()!;
  const expected = await readJson(read, `${directory}/expected.json`) as Expected;
  const batches = await readJson(read, `${directory}/batch.json`) as RawBatch & { train_batches?: RawBatch[] };
  const pretrained = await openPretrained(
    folderOf(read, expected.base ? `${directory}/../${expected.base}` : directory),
  );
  const folder = expected.base === undefined ? undefined : folderOf(read, directory);
  const adapter = folder && { folder, config: await readAdapterConfig(folder) };
  const want = await readTensors(read, `${directory}/expected.safetensors`);
  const fixture = { name, expected, pretrained, adapter, want, prefix: adapter ? "base_model.model." : "" };
  const cases = await replayOnce(gpu, fixture, batches);
  if (!expected.train || !batches.train_batches) return cases;
  const final = await read(`${directory}/final.safetensors`)
    ? await readTensors(read, `${directory}/final.safetensors`)
    : undefined;
  const begun = adapter
    ? { ...fixture, adapter: { ...adapter, folder: folderOf(read, `${directory}/initial`) } }
    : fixture;
  return [...cases, ...await replayTraining(gpu, begun, batches.train_batches, final)];
}

async function replayOnce(gpu: Gpu, fixture: Fixture, raw: RawBatch): Promise<OracleCase[]> {
  const { name, expected: { tolerance, loss, grad_norm }, want, prefix, pretrained, adapter } = fixture;
  const { trainer, model, programs, forward } = await open(gpu, fixture, raw);
  const batch = toBatch(raw);
  const logits = await runForward(trainer, model, forward, batch);
  trainer.step([batch], 0);
  const [metrics] = await trainer.readMetrics();
  let worst = 0, compared = 0;
  for (const parameter of model.parameters.filter(({ needsGradient }) => needsGradient)) {
    const expectedGradient = want.get(prefix + parameter.value.label)?.data;
    if (!expectedGradient) continue;
    compared++;
    const gradient = await trainer.executor.read(programs.train.gradients.get(parameter)!);
    worst = Math.max(worst, relativeL2(gradient, expectedGradient, 0.001 * grad_norm));
  }
  const exported = adapter ? await adapterCases(fixture, model, trainer) : [];
  const merged = await collectFiles(
    modelFiles({ model, json: pretrained.json, tokenizer: null, generation: null }, trainer.executor),
  );
  trainer.destroy();
  const gradients = compared > 0 ? [oracleCase(`${name} gradients`, worst, tolerance["grad_rel_l2"]!)] : [];
  return [
    oracleCase(
      `${name} logits`,
      largestDifference(logits, want.get("logits")!.data, raw.attention_mask),
      tolerance["logits_max_abs"]!,
    ),
    oracleCase(`${name} loss`, Math.abs(metrics!.loss - loss), tolerance["loss_abs"]!),
    ...gradients,
    ...await replayFrozen(gpu, fixture, pretrained, raw, "frozen"),
    ...exported,
    ...await replayFrozen(gpu, fixture, await openPretrained(memoryFolder("exported", merged)), raw, "exported"),
  ];
}

/** The adapter as it is written against the file it was read from, and a merged weight against PEFT's. */
async function adapterCases(
  { name, adapter, want }: Fixture,
  model: Model,
  { executor }: Trainer,
): Promise<OracleCase[]> {
  const { config, folder } = adapter!;
  const written = await openSafetensors(
    blobSource(
      "written",
      new Blob([
        (await collectFiles(adapterFiles({ model, config, base: "base", revision: null }, executor))).get(
          "adapter_model.safetensors",
        )!,
      ]),
    ),
  );
  const original = await openCheckpoint(folder, "adapter_model.safetensors");
  let different = written.tensors.size === original.tensors.size ? 0 : Infinity;
  for (const entry of original.tensors.values()) {
    const own = written.tensors.get(entry.name);
    if (
      !own || own.shape.join() !== entry.shape.join() ||
      (await written.read(own)).join() !== (await original.read(entry)).join()
    ) different++;
  }
  let merge = 0;
  for (const layer of linearLayers(model)) {
    const expected = want.get(`merged.${layer.weight.value.label}`);
    if (!expected || !layer.lora) continue;
    const read = (tensor: Tensor) => executor.read(tensor);
    merge = Math.max(
      merge,
      relativeL2(
        mergedWeight(
          layer,
          await read(layer.weight.value),
          await read(layer.lora.a.value),
          await read(layer.lora.b.value),
        ),
        expected.data,
        0,
      ),
    );
  }
  // The fixture has merged weights rounded to f32 once, as they are here.
  return [
    oracleCase(`${name} adapter file, tensors that differ`, different, 0),
    oracleCase(`${name} merged weight`, merge, 1e-7),
  ];
}

/**
 * The same logits of a model that is frozen as it came: in 16 bits where the file has them. Of an exported one too,
 * adapters merged.
 */
async function replayFrozen(
  gpu: Gpu,
  { name, want, adapter, expected: { tolerance } }: Fixture,
  pretrained: Pretrained,
  raw: RawBatch,
  how: "frozen" | "exported",
): Promise<OracleCase[]> {
  if (adapter && how === "frozen") return [];
  const B = raw.input_ids.length, T = raw.input_ids[0]!.length;
  const model = freeze(createModel(pretrained.json), {
    trains: () => false,
    storedAs: pretrained.storedAs,
    quantized: undefined,
  });
  const forward = recordForward(gpu, model, tablesOf(model, T), B, T, raw);
  const trainer = await Session.open(gpu, model, [forward], planMemory([forward]), {
    load: (executor, model) => loadWeights(executor, model, pretrained.weights),
  });
  const logits = await runForward(trainer, model, forward, toBatch(raw));
  trainer.destroy();
  return [
    oracleCase(
      `${name} logits, ${how}`,
      largestDifference(logits, want.get("logits")!.data, raw.attention_mask),
      tolerance["logits_max_abs"]!,
    ),
  ];
}

async function replayTraining(
  gpu: Gpu,
  fixture: Fixture,
  raws: RawBatch[],
  final: Map<string, FixtureTensor> | undefined,
): Promise<OracleCase[]> {
  const { name, prefix, expected: { tolerance, train, gradient_is_zero_in_exact_arithmetic: noise = {} } } = fixture;
  const { trainer, model } = await open(gpu, fixture, raws[0]!);
  const batches = raws.map(toBatch);
  train!.steps.forEach(({ lr }, step) => trainer.step([batches[step % batches.length]!], lr));
  const metrics = await trainer.readMetrics();
  const lossError = Math.max(...metrics.map(({ loss, step }) => Math.abs(loss - train!.steps[step]!.loss)));
  const normError = Math.max(
    ...metrics.map(({ grad_norm, step }) => Math.abs(grad_norm / train!.steps[step]!.grad_norm - 1)),
  );
  let finalError = 0;
  for (const { value } of model.parameters.filter(({ needsGradient }) => needsGradient)) {
    const label = prefix + value.label;
    // AdamW makes real steps of what is rounding noise.
    if (label in noise) continue;
    const values = await trainer.executor.read(value);
    if (final) {
      finalError = Math.max(finalError, relativeL2(values, final.get(label)!.data, 0) / tolerance["final_rel_l2"]!);
    }
    const l2 = train!.final?.[label]?.l2;
    if (l2 !== undefined) {
      finalError = Math.max(finalError, Math.abs(normOf(values) / l2 - 1) / tolerance["final_norm_rel"]!);
    }
  }
  trainer.destroy();
  return [
    oracleCase(`${name} training losses`, lossError, tolerance["step_loss_abs"]!),
    oracleCase(`${name} training gradient norms`, normError, tolerance["step_grad_norm_rel"]!),
    oracleCase(`${name} final weights (share of the tolerances)`, finalError, 1),
  ];
}

interface ForwardProgram extends PreparedProgram {
  readonly batch: SequenceInputs;
  readonly logits: Tensor;
}

interface Opened {
  readonly model: Model;
  readonly trainer: Trainer;
  readonly programs: { readonly train: TrainProgram };
  readonly forward: ForwardProgram;
}

async function open(
  gpu: Gpu,
  { pretrained, adapter, prefix, expected: { train } }: Fixture,
  raw: RawBatch,
): Promise<Opened> {
  const B = raw.input_ids.length, T = raw.input_ids[0]!.length;
  const model = modelOf(pretrained, adapter?.config);
  const tables = tablesOf(model, T);
  const [adam_beta1, adam_beta2] = train?.betas ?? [0.9, 0.999];
  const matrices = model.parameters.filter(({ value, needsGradient }) => needsGradient && value.shape.length > 1).map((
    { value },
  ) => prefix + value.label);
  if (train && matrices.sort().join() !== [...train.weight_decay_on].sort().join()) {
    throw new Error("Cannot replay: the fixture decays other weights than the matrices");
  }
  const settings = {
    adam_beta1,
    adam_beta2,
    adam_epsilon: train?.eps ?? 1e-8,
    momentum: 0,
    weight_decay: train?.weight_decay ?? 0,
    seed: 0,
    max_steps: 64,
    optim_target_modules: null,
    state_free_modules: [],
  };
  const optimizer = new Optimizer(trainedParameters(model), resolveOptimizer("adamw", {}), settings);
  const packed = raw.attention_mask !== undefined;
  const options = {
    target: gpu.target,
    model,
    tables,
    B,
    T,
    packed,
    gradient_accumulation_steps: 1,
    gradient_checkpointing: false,
    max_grad_norm: train?.max_grad_norm ?? 1,
    optimizer,
    metrics_rows: 64,
  };
  const forward = recordForward(gpu, model, tables, B, T, raw);
  const programs = { train: recordTrain(options) };
  const load = async (executor: Trainer["executor"], model: Model) => {
    const loaded = await loadWeights(executor, model, pretrained.weights);
    return adapter ? new Set([...loaded, ...await loadAdapter(executor, model, adapter.folder)]) : loaded;
  };
  const trainer = await Trainer.create(gpu, model, programs, planPrograms({ ...programs, hooks: [forward] }), { load });
  return { model, trainer, programs, forward };
}

/** All of it trained, or all but an adapter frozen. */
function modelOf({ json, storedAs }: Pretrained, config: LoraConfig | undefined): Model {
  const plain = createModel(json);
  return config
    ? freeze(withLora(plain, config), {
      trains: ({ value }) => value.label.includes(".lora_"),
      storedAs,
      quantized: undefined,
    })
    : plain;
}

function recordForward(
  { target }: Gpu,
  model: Model,
  tables: Tables,
  B: number,
  T: number,
  raw: RawBatch,
): ForwardProgram {
  const r = new Recorder({ target, training: false });
  const batch = sequenceInputs("forward", model, { B, T, packed: raw.attention_mask !== undefined, training: false });
  const logits = tensor(
    "logits",
    classesOf(model) ? [B, classesOf(model)!.length] : [B * T, model.config.vocab_size],
    "output",
  );
  recordLogits(r, model, { ...batch, ...tableTensors(tables) }, logits);
  const constants = new Map(Object.values(tables).map(({ tensor, values }) => [tensor, values]));
  return { name: "forward", steps: r.steps, constants, batch, logits };
}

async function runForward(
  { executor }: Session,
  model: Model,
  forward: ForwardProgram,
  batch: ReturnType<typeof toBatch>,
): Promise<Float32Array> {
  const inputs: InputValues = new Map();
  new BatchWriter(model).addSequences(inputs, forward.batch, batch);
  executor.writeInputs(inputs);
  executor.run(forward);
  return await executor.read(forward.logits);
}
