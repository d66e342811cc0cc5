// An objective from outside: direct preference optimization (Rafailov et al., 2023) on pairs of a chosen and a rejected
// answer, with the reference model's log-probabilities computed beforehand. Its batches hold two sequences a pair and a
// number for each; its metrics are the reward accuracy and margin. Public entry points only.

import { defineKernel, openGpu, type Tensor, tensor } from "../../src/exports/plan.ts";
import type { ModelBatch } from "../../src/exports/data.ts";
import { createModel, isLanguageModel } from "../../src/exports/models.ts";
import { linear } from "../../src/exports/ops.ts";
import { createOptimizer } from "../../src/exports/optim.ts";
import {
  type EvaluateProgram,
  type Objective,
  planPrograms,
  recordEvaluate,
  recordTrain,
  tablesOf,
  Trainer,
  type TrainProgram,
} from "../../src/exports/train.ts";
import { assert, test } from "../harness.ts";

/** B sequences of T tokens: row 2p is the chosen answer of pair p, row 2p + 1 the rejected one. */
interface PreferenceBatch extends ModelBatch {
  /** (B, T) the next token, or 0xffffffff where it is part of the prompt. */
  readonly labels: Uint32Array<ArrayBuffer>;
  /** (B) log-probability of each answer under the reference model. */
  readonly reference: Float32Array<ArrayBuffer>;
}

const main = `@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.n) { return; }`;
const groups = ({ n }: { readonly n: number }): number => Math.ceil(n / 16);

const logProbsKernel = defineKernel({
  name: "sequence_log_probs",
  code: `// log_probs[i] = sum over the labels of sequence i of log softmax(logits)[label];
// log_sums[row] = log sum exp of a row of logits.
// One thread per sequence of T rows of V logits.
${main}
  var total = 0.0;
  for (var row = i * params.T; row < (i + 1u) * params.T; row++) {
    let start = row * params.V;
    var highest = logits[start];
    for (var v = 1u; v < params.V; v++) { highest = max(highest, logits[start + v]); }
    var sum = 0.0;
    for (var v = 0u; v < params.V; v++) { sum += exp(logits[start + v] - highest); }
    log_sums[row] = highest + log(sum);
    if (labels[row] < params.V) { total += logits[start + labels[row]] - log_sums[row]; }
  }
  log_probs[i] = total;
}`,
  reads: { logits: "array<f32>", labels: "array<u32>" },
  writes: { log_sums: "array<f32>", log_probs: "array<f32>" },
  params: { n: "u32", T: "u32", V: "u32" },
  groups,
});

const lossKernel = defineKernel({
  name: "dpo_loss",
  code: `// margin = beta ((chosen - reference of it) - (rejected - reference of it)), loss = log(1 + exp(-margin)), and
// slope = d loss / d margin = -1 / (1 + exp(margin)). One thread per pair.
${main}
  let chosen = log_probs[2u * i] - reference_log_probs[2u * i];
  let rejected = log_probs[2u * i + 1u] - reference_log_probs[2u * i + 1u];
  let margin = params.beta * (chosen - rejected);
  margins[i] = margin;
  loss[params.first + i] = log(1.0 + exp(-abs(margin))) + max(-margin, 0.0);
  slopes[i] = -1.0 / (1.0 + exp(margin));
}`,
  reads: { log_probs: "array<f32>", reference_log_probs: "array<f32>" },
  writes: { loss: "array<f32>", margins: "array<f32>", slopes: "array<f32>" },
  params: { n: "u32", beta: "f32", first: "u32" },
  groups,
});

const backwardKernel = defineKernel({
  name: "dpo_backward",
  code: `// dlogits = scale slope beta (one_hot(label) - softmax(logits)), the sign turned for the rejected answer;
// 0 where no label counts. One thread per row of V logits.
${main}
  let sequence = i / params.T;
  let sign = select(1.0, -1.0, sequence % 2u == 1u);
  let loss_scale = schedule[1];
  let factor = select(0.0, loss_scale * slopes[sequence / 2u] * params.beta * sign, labels[i] < params.V);
  for (var v = 0u; v < params.V; v++) {
    let probability = exp(logits[i * params.V + v] - log_sums[i]);
    dlogits[i * params.V + v] = factor * (select(0.0, 1.0, v == labels[i]) - probability);
  }
}`,
  reads: {
    logits: "array<f32>",
    labels: "array<u32>",
    log_sums: "array<f32>",
    slopes: "array<f32>",
    schedule: "array<f32>",
  },
  writes: { dlogits: "array<f32>" },
  params: { n: "u32", T: "u32", V: "u32", beta: "f32" },
  groups,
});

/** The DPO loss of pairs, -log sigmoid(beta (log-ratio of the chosen - log-ratio of the rejected answer)). */
const dpo = (beta: number): Objective<PreferenceBatch> => ({
  inputs: (label, { B, T }) => ({
    labels: tensor(`${label} labels`, [B * T], "input", "u32"),
    reference: tensor(`${label} reference`, [B], "input"),
  }),
  write: ({ labels, reference }) => ({ labels, reference }),
  losses: ({ B }) => B / 2,
  count: ({ reference }) => reference.length / 2,
  record(r, { model, inputs, tensors, outputs, schedule, loss }) {
    if (!isLanguageModel(model)) throw new RangeError("Cannot prefer answers of a model that classifies");
    const { B, T } = inputs, V = model.config.vocab_size, labels = tensors["labels"]!;
    const logits = linear(r, model.architecture.forward(r, model, inputs), model.head.weight);
    const log_sums = r.tensor("log sums", [B * T], "scratch");
    const log_probs = outputs?.["log_probs"] ?? r.tensor("log probs", [B], "scratch");
    r.run(logProbsKernel, { logits: logits.value, labels, log_sums, log_probs }, { n: B, T, V });
    const margins = outputs?.["margins"] ?? r.tensor("margins", [B / 2], "scratch");
    const slopes = r.tensor("slopes", [B / 2], "scratch");
    r.run(lossKernel, {
      log_probs,
      reference_log_probs: tensors["reference"]!,
      loss: loss.tensor,
      margins,
      slopes,
    }, { n: B / 2, beta, first: loss.first });
    if (!r.training || !logits.needsGradient) return;
    const dlogits = r.tensor("d(logits)", [B * T, V]);
    r.run(backwardKernel, { logits: logits.value, labels, log_sums, slopes, schedule, dlogits }, {
      n: B * T,
      T,
      V,
      beta,
    });
    r.setGradient(logits, dlogits);
  },
  outputs: (_model, { B }) => ({
    log_probs: tensor("answer log probs", [B], "output"),
    margins: tensor("reward margins", [B / 2], "output"),
  }),
  scores() {
    const margins: number[] = [];
    return {
      add: (_batch, outputs) => void margins.push(...outputs["margins"]!),
      result: () => ({
        reward_accuracy: margins.filter((margin) => margin > 0).length / margins.length,
        reward_margin: margins.reduce((a, b) => a + b, 0) / margins.length,
      }),
    };
  },
});

const BETA = 0.5, PAIRS = 4, B = 2 * PAIRS, T = 12, V = 32;
const LLAMA_JSON = {
  model_type: "llama",
  vocab_size: V,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: T,
  tie_word_embeddings: true,
  initializer_range: 0.3,
};

/** Prompts of four tokens; the chosen answer goes on upwards, the rejected one downwards. */
function pairs(reference: Float32Array<ArrayBuffer>): PreferenceBatch {
  const input_ids = new Uint32Array(B * T), labels = new Uint32Array(B * T).fill(0xffffffff);
  for (let row = 0; row < B; row++) {
    const start = 8 + 2 * (row >> 1), direction = row % 2 === 0 ? 1 : -1;
    const token = (t: number): number => (t < 4 ? start + t : (start + 3 + direction * (t - 3) + V) % V);
    for (let t = 0; t < T; t++) {
      input_ids[row * T + t] = token(t);
      if (t >= 3) labels[row * T + t] = token(t + 1);
    }
  }
  return { input_ids, labels, reference };
}

test(
  "DPO: the loss of the formula, the gradient of central differences, and a model that " +
    "learns to prefer",
  async () => {
    const gpu = await openGpu(), objective = dpo(BETA), model = createModel(LLAMA_JSON);
    const forward = { target: gpu.target, model, tables: tablesOf(model, T), B, T, objective };
    const optimizer = createOptimizer("adamw", model.parameters);
    const programs = {
      train: recordTrain({
        ...forward,
        optimizer,
        gradient_accumulation_steps: 1,
        gradient_checkpointing: false,
        max_grad_norm: 1,
        metrics_rows: 8,
      }),
      evaluate: recordEvaluate(forward),
    };
    const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs), { seed: 3 });
    const read = (tensor: Tensor): Promise<Float32Array<ArrayBuffer>> => trainer.executor.read(tensor);
    const evaluate = (batch: PreferenceBatch) => trainer.evaluate(programs.evaluate, [batch]);
    try {
      const policy = await evaluate(pairs(new Float32Array(B))), { log_probs } = programs.evaluate.outputs;
      const reference = await read(log_probs!);
      assert(reference.every((sum) => sum < -1), `log-probabilities ${reference}`);
      const expected = (logs: Float32Array, base: Float32Array): number =>
        [...Array(PAIRS).keys()].reduce((sum, p) => {
          const margin = BETA * ((logs[2 * p]! - base[2 * p]!) - (logs[2 * p + 1]! - base[2 * p + 1]!));
          return sum + Math.log1p(Math.exp(-margin)) / PAIRS;
        }, 0);
      assert(Math.abs(policy.eval_loss - expected(reference, new Float32Array(B))) < 1e-5, `loss ${policy.eval_loss}`);
      const batch = pairs(reference), begin = await evaluate(batch);
      assert(Math.abs(begin.eval_loss - Math.LN2) < 1e-6, `the loss against itself is ${begin.eval_loss}, not ln 2`);

      await checkGradient(trainer, programs, batch);
      for (let i = 1; i < 40; i++) trainer.step([batch], 3e-3);
      const end = await evaluate(batch), logs = await read(log_probs!);
      assert(Math.abs(end.eval_loss - expected(logs, reference)) < 1e-5, `loss ${end.eval_loss}`);
      assert(end["reward_accuracy"] === 1 && end["reward_margin"]! > 1 && end.labels === PAIRS, JSON.stringify(end));
      assert(end.eval_loss < 0.4, `the loss fell to ${end.eval_loss} only`);
    } finally {
      trainer.destroy();
    }
  },
);

/** Holds a few elements of one gradient against central differences of the loss. */
async function checkGradient(
  trainer: Trainer,
  { train, evaluate }: { readonly train: TrainProgram; readonly evaluate: EvaluateProgram },
  batch: PreferenceBatch,
): Promise<void> {
  const weight = trainer.model.parameters[3]!, before = await trainer.executor.read(weight.value);
  trainer.step([batch], 0);
  const gradient = await trainer.executor.read(train.gradients.get(weight)!);
  const lossAt = async (index: number, change: number): Promise<number> => {
    trainer.setParameter(weight.value.label, before.map((w, i) => (i === index ? w + change : w)));
    return (await trainer.evaluate(evaluate, [batch])).eval_loss;
  };
  for (const index of [0, 17, 40]) {
    const difference = (await lossAt(index, 1e-2) - await lossAt(index, -1e-2)) / 2e-2;
    // f32 losses near 0.7 are good to 1e-7, so differences to 1e-5; the curvature adds as much.
    assert(Math.abs(gradient[index]! - difference) < 2e-4, `${index}: ${gradient[index]}, not ${difference}`);
  }
  assert(Math.hypot(...gradient) > 1e-3, "the gradient is nothing");
  trainer.setParameter(weight.value.label, before);
}
