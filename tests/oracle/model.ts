import type { Gpu } from "../../src/gpu/device.ts";
import { createLlama, type Llama, llama } from "../../src/models/llama.ts";
import type { Batch } from "../../src/data/text.ts";
import { parseLlamaConfig } from "../../src/models/llama_config.ts";
import { IGNORED } from "../../src/ops/cross_entropy.ts";
import { linear } from "../../src/ops/linear.ts";
import { membersOf } from "../../src/models/members.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { gridOf } from "../../src/optim/presets.ts";
import { type Program, Recorder } from "../../src/plan/recorder.ts";
import { ropeTableTensor } from "../../src/models/rope_table.ts";
import { tensor, type Tensor } from "../../src/plan/tensor.ts";
import { type Programs, recordTrain } from "../../src/train/programs.ts";
import { planPrograms, Trainer } from "../../src/train/trainer.ts";
import { type FixtureTensor, type OracleCase, oracleCase, type ReadFile, readJson, readTensors, readWeights } from "./files.ts";
import { normOf, relativeL2 } from "./measures.ts";

interface RawBatch {
  readonly input_ids: number[][];
  readonly labels: number[][];
  readonly attention_mask?: number[][];
}

interface Expected {
  readonly loss: number;
  readonly grad_norm: number;
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

/** Logits, loss, gradients and training trajectory of a Hugging Face checkpoint against PyTorch's. */
export async function replayModel(gpu: Gpu, read: ReadFile, directory: string): Promise<OracleCase[]> {
  const name = directory.replace(/\/+$/, "").split("/").pop()!;
  const config = parseLlamaConfig(await readJson(read, `${directory}/config.json`));
  const expected = await readJson(read, `${directory}/expected.json`) as Expected;
  const batches = await readJson(read, `${directory}/batch.json`) as RawBatch & { train_batches?: RawBatch[] };
  const fixture = { config, expected, weights: await readWeights(read, directory), want: await readTensors(read, `${directory}/expected.safetensors`) };
  const cases = await replayOnce(gpu, name, fixture, batches);
  if (!expected.train || !batches.train_batches) return cases;
  const final = await read(`${directory}/final.safetensors`) ? await readTensors(read, `${directory}/final.safetensors`) : undefined;
  return [...cases, ...await replayTraining(gpu, name, fixture, batches.train_batches, final)];
}

interface Fixture {
  readonly config: ReturnType<typeof parseLlamaConfig>;
  readonly expected: Expected;
  readonly weights: Map<string, FixtureTensor>;
  readonly want: Map<string, FixtureTensor>;
}

interface Opened {
  readonly model: Llama;
  readonly trainer: Trainer;
  readonly programs: Programs & { readonly train: NonNullable<Programs["train"]> };
  readonly forward: ForwardProgram;
}

async function replayOnce(gpu: Gpu, name: string, fixture: Fixture, raw: RawBatch): Promise<OracleCase[]> {
  const { expected: { tolerance, loss, grad_norm }, want } = fixture;
  const { trainer, model, programs, forward } = await open(gpu, fixture, raw);
  const batch = toBatch(raw);
  trainer.executor.writeInputs(new Map<Tensor, Uint32Array<ArrayBuffer>>([[forward.ids, batch.input_ids]]));
  trainer.executor.run(forward);
  const logits = await trainer.executor.read(forward.logits);
  trainer.step([batch], 0);
  const [metrics] = await trainer.readMetrics();
  let worst = 0, compared = 0;
  for (const parameter of model.parameters) {
    const expectedGradient = want.get(parameter.value.label)?.data;
    if (!expectedGradient) continue;
    compared++;
    const gradient = await trainer.executor.read(programs.train.gradients.get(parameter)!);
    worst = Math.max(worst, relativeL2(gradient, expectedGradient, 0.001 * grad_norm));
  }
  trainer.destroy();
  const gradients = compared > 0 ? [oracleCase(`${name} gradients`, worst, tolerance["grad_rel_l2"]!)] : [];
  return [
    oracleCase(`${name} logits`, logitsError(logits, want.get("logits")!.data, raw.attention_mask), tolerance["logits_max_abs"]!),
    oracleCase(`${name} loss`, Math.abs(metrics!.loss - loss), tolerance["loss_abs"]!),
    ...gradients,
  ];
}

async function replayTraining(gpu: Gpu, name: string, fixture: Fixture, raws: RawBatch[], final: Map<string, FixtureTensor> | undefined): Promise<OracleCase[]> {
  const { expected: { tolerance, train } } = fixture;
  const { trainer, model } = await open(gpu, fixture, raws[0]!);
  const batches = raws.map(toBatch);
  train!.steps.forEach(({ lr }, step) => trainer.step([batches[step % batches.length]!], lr));
  const metrics = await trainer.readMetrics();
  const lossError = Math.max(...metrics.map(({ loss, step }) => Math.abs(loss - train!.steps[step]!.loss)));
  const normError = Math.max(...metrics.map(({ grad_norm, step }) => Math.abs(grad_norm / train!.steps[step]!.grad_norm - 1)));
  let finalError = 0;
  for (const parameter of model.parameters) {
    const values = await trainer.executor.read(parameter.value);
    const label = parameter.value.label;
    if (final) finalError = Math.max(finalError, relativeL2(values, final.get(label)!.data, 0) / tolerance["final_rel_l2"]!);
    const l2 = train!.final?.[label]?.l2;
    if (l2 !== undefined) finalError = Math.max(finalError, Math.abs(normOf(values) / l2 - 1) / tolerance["final_norm_rel"]!);
  }
  trainer.destroy();
  return [
    oracleCase(`${name} training losses`, lossError, tolerance["step_loss_abs"]!),
    oracleCase(`${name} training gradient norms`, normError, tolerance["step_grad_norm_rel"]!),
    oracleCase(`${name} final weights (share of the tolerances)`, finalError, 1),
  ];
}

interface ForwardProgram extends Program {
  readonly ids: Tensor;
  readonly logits: Tensor;
}

async function open(gpu: Gpu, { config, expected: { train }, weights }: Fixture, raw: RawBatch): Promise<Opened> {
  const B = raw.input_ids.length, T = raw.input_ids[0]!.length;
  const model = createLlama(config);
  const rope_table = ropeTableTensor(T, config.head_dim);
  const [adam_beta1, adam_beta2] = train?.betas ?? [0.9, 0.999];
  const matrices = model.parameters.filter(({ value }) => value.shape.length > 1).map(({ value }) => value.label);
  if (train && matrices.sort().join() !== [...train.weight_decay_on].sort().join()) throw new Error("Cannot replay: the fixture decays other weights than the matrices");
  const settings = { adam_beta1, adam_beta2, adam_epsilon: train?.eps ?? 1e-8, momentum: 0, weight_decay: train?.weight_decay ?? 0, seed: 0, max_steps: 64, optim_target_modules: null, state_free_modules: [] };
  const optimizer = new Optimizer(membersOf(model), gridOf("adamw", {}), settings);
  const options = { variant: gpu.variant, model, rope_table, B, T, gradient_accumulation_steps: 1, gradient_checkpointing: false, max_grad_norm: train?.max_grad_norm ?? 1, optimizer, metrics_rows: 64 };
  const forward = recordForward(gpu, model, rope_table, B, T);
  const programs = { rope_table, train: recordTrain(options) };
  const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs, [forward]), undefined);
  for (const { value } of model.parameters) {
    const loaded = weights.get(value.label);
    if (!loaded) throw new Error(`Cannot replay: the fixture's file has no tensor ${value.label}`);
    trainer.executor.write(value, loaded.data);
  }
  return { model, trainer, programs, forward };
}

function recordForward({ variant }: Gpu, model: Llama, rope_table: Tensor, B: number, T: number): ForwardProgram {
  const r = new Recorder({ variant, training: false });
  const ids = tensor("ids", [B * T], "input", "u32");
  const logits = tensor("logits", [B * T, model.config.vocab_size], "output");
  linear(r, llama(r, model, { ids, rope_table, B, T }), model.lm_head, { out: logits });
  return { name: "forward", steps: r.steps, ids, logits };
}

/** Labels stand beside their own token in the fixture; a row predicts the next one. */
function toBatch({ input_ids, labels }: RawBatch): Batch {
  const next = labels.map((row) => [...row.slice(1), -100]);
  return { input_ids: Uint32Array.from(input_ids.flat()), labels: Uint32Array.from(next.flat(), (label) => (label < 0 ? IGNORED : label)) };
}

/** Largest difference; what stands at padded positions depends on how masked rows are treated, so they do not count. */
function logitsError(actual: ArrayLike<number>, expected: ArrayLike<number>, mask: number[][] | undefined): number {
  const V = actual.length / (mask?.flat().length ?? 1);
  const counts = mask?.flat();
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (counts && counts[Math.floor(i / V)] === 0) continue;
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}
