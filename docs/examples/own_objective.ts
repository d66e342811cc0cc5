// Trains a LLaMA on an objective of one's own: the loss of the second half of each sequence only.

import { createModel } from "scrimp/models";
import { createOptimizer } from "scrimp/optim";
import { openGpu } from "scrimp/plan";
import { type Batch, IGNORED } from "scrimp/data";
import { nextToken, type Objective, planPrograms, recordEvaluate, recordTrain, tablesOf, Trainer } from "scrimp/train";

const B = 2, T = 16;
const counted = ({ labels }: Batch) => labels.map((label, place) => (place % T < T / 2 ? IGNORED : label));
const secondHalf: Objective = {
  ...nextToken(),
  write: (batch) => ({ labels: counted(batch) }),
  count: (batch) => counted(batch).filter((label) => label !== IGNORED).length,
};

const gpu = await openGpu();
const model = createModel({
  model_type: "llama",
  vocab_size: 32,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
});
const forward = { target: gpu.target, model, tables: tablesOf(model, T), B, T, objective: secondHalf };
const programs = {
  train: recordTrain({
    ...forward,
    optimizer: createOptimizer("adamw", model.parameters),
    gradient_accumulation_steps: 1,
    gradient_checkpointing: false,
    max_grad_norm: 1,
    metrics_rows: 1,
  }),
  evaluate: recordEvaluate(forward),
};
const trainer = await Trainer.create(gpu, model, programs, planPrograms(programs), { seed: 1 });
// Count upwards: the token after n is n + 1.
const batch = {
  input_ids: Uint32Array.from({ length: B * T }, (_, place) => place % T),
  labels: Uint32Array.from({ length: B * T }, (_, place) => place % T + 1),
};
for (let step = 0; step < 30; step++) trainer.step([batch], 1e-2);
const { eval_loss, labels } = await trainer.evaluate(programs.evaluate, [batch]);
console.log(`loss ${eval_loss.toFixed(4)} over ${labels} tokens of ${B * T}`);
trainer.destroy();
