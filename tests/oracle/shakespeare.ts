import type { Gpu } from "../../src/gpu/device.ts";
import { LLAMA } from "../../src/models/llama.ts";
import type { Json } from "../../src/models/config_reader.ts";
import { parseLlamaConfig } from "../../src/models/llama_config.ts";
import { trainedParameters } from "../../src/models/parameter.ts";
import { Optimizer } from "../../src/optim/optimizer.ts";
import { resolveOptimizer } from "../../src/optim/presets.ts";
import { planPrograms, recordEvaluate, recordTrain, tablesOf } from "../../src/train/programs.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type OracleCase, oracleCase, type ReadFile, readJson, readWeights } from "./files.ts";

interface Expected {
  readonly batch: number;
  readonly length: number;
  readonly betas: [number, number];
  readonly eps: number;
  readonly weight_decay_matrices: number;
  readonly weight_decay_vectors: number;
  readonly max_grad_norm: number;
  readonly learning_rate: number[];
  readonly offsets: number[][];
  readonly losses: number[];
  readonly grad_norms_before_clipping: number[];
  readonly validation: { first_byte: number; rows: number; row_bytes: number; loss_after_last_step: number };
  readonly tolerance: { loss_relative_first_20: number; loss_relative_all: number };
}

/** Steps between two read-backs of the metrics. */
const METRICS_ROWS = 50;

/** A whole training run on bytes of a text, step by step: given weights, given offsets, PyTorch's losses. */
export async function replayShakespeare(gpu: Gpu, read: ReadFile, directory: string): Promise<OracleCase[]> {
  const expected = await readJson(read, `${directory}/expected.json`) as Expected;
  const text = await read(`${directory}/../../data/tinyshakespeare.txt`);
  if (!text) throw new Error("Cannot replay: data/tinyshakespeare.txt is missing beside the fixtures' folder");
  const { batch: B, length: T, betas: [adam_beta1, adam_beta2] } = expected;
  const config = parseLlamaConfig(await readJson(read, `${directory}/config.json`) as Json);
  const model = LLAMA.create(config, { type: "f32" });
  if (expected.weight_decay_vectors !== 0) {
    throw new Error("Cannot replay: the fixture decays vectors, which Scrimp does not");
  }
  const settings = {
    adam_beta1,
    adam_beta2,
    adam_epsilon: expected.eps,
    momentum: 0,
    weight_decay: expected.weight_decay_matrices,
    seed: 0,
    max_steps: expected.losses.length,
    optim_target_modules: null,
    state_free_modules: [],
  };
  const optimizer = new Optimizer(trainedParameters(model), resolveOptimizer("adamw", {}), settings);
  const options = {
    target: gpu.target,
    model,
    tables: tablesOf(model, T),
    B,
    T,
    gradient_accumulation_steps: 1,
    gradient_checkpointing: false,
    max_grad_norm: expected.max_grad_norm,
    metrics_rows: METRICS_ROWS,
    optimizer,
  };
  const programs = { train: recordTrain(options), evaluate: recordEvaluate(options) };
  const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs));
  for (const [name, { data }] of await readWeights(read, directory)) trainer.setParameter(name, data);

  const rows = (starts: readonly number[]) => {
    const at = (shift: number) =>
      Uint32Array.from(starts.flatMap((start) => [...text.subarray(start + shift, start + shift + T)]));
    return { input_ids: at(0), labels: at(1) };
  };
  let first20 = 0, all = 0, norms = 0;
  for (const [step, offsets] of expected.offsets.entries()) {
    trainer.step([rows(offsets)], expected.learning_rate[step]!);
    if ((step + 1) % METRICS_ROWS !== 0 && step + 1 < expected.offsets.length) continue;
    for (const row of await trainer.readMetrics()) {
      const error = Math.abs(row.loss / expected.losses[row.step]! - 1);
      all = Math.max(all, error);
      if (row.step >= 20) continue;
      first20 = Math.max(first20, error);
      norms = Math.max(norms, Math.abs(row.grad_norm / expected.grad_norms_before_clipping[row.step]! - 1));
    }
  }
  const { first_byte, rows: count, row_bytes, loss_after_last_step } = expected.validation;
  const starts = [...Array(count).keys()].map((row) => first_byte + row * row_bytes);
  const batches = [...Array(Math.ceil(count / B)).keys()].map((i) =>
    padded(rows(starts.slice(i * B, (i + 1) * B)), B * T)
  );
  const validation = Math.abs(
    (await trainer.evaluate(programs.evaluate, batches)).eval_loss / loss_after_last_step - 1,
  );
  trainer.destroy();
  const name = directory.replace(/\/+$/, "").split("/").pop()!;
  return [
    oracleCase(`${name} losses of the first 20 steps`, first20, expected.tolerance.loss_relative_first_20),
    oracleCase(`${name} losses of all steps`, all, expected.tolerance.loss_relative_all),
    // The fixture gives no tolerance for gradient norms. This is the one of its sister fixtures, for as many steps as
    // they have.
    oracleCase(`${name} gradient norms of the first 20 steps`, norms, 1e-3),
    oracleCase(`${name} validation loss`, validation, expected.tolerance.loss_relative_all),
  ];
}

function padded(
  { input_ids, labels }: { input_ids: Uint32Array<ArrayBuffer>; labels: Uint32Array<ArrayBuffer> },
  length: number,
) {
  const ids = new Uint32Array(length), all = new Uint32Array(length).fill(0xffffffff);
  ids.set(input_ids);
  all.set(labels);
  return { input_ids: ids, labels: all };
}
