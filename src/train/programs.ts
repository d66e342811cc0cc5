import type { Variant } from "../gpu/device.ts";
import { type Llama, llama } from "../models/llama.ts";
import { crossEntropy } from "../ops/cross_entropy.ts";
import { embedding, type Segments } from "../ops/embedding.ts";
import { linear } from "../ops/linear.ts";
import { gradientNorm, noClip } from "../optim/clip.ts";
import { recordMetrics } from "../optim/metrics.ts";
import { stateOf, type UpdateRule } from "../optim/rule.ts";
import { scheduleTensor } from "../optim/schedule.ts";
import { type Program, Recorder, type Variable } from "../plan/recorder.ts";
import { size, type Tensor, tensor } from "../plan/tensor.ts";

/** Input tensors of one batch of B sequences of T tokens. All u32. */
export interface BatchInputs {
  /** (B*T) */
  readonly ids: Tensor;
  /** (B*T), IGNORED where a token does not count. */
  readonly labels: Tensor;
  /** For the gradient of the embedding. */
  readonly segments?: Segments;
}

export interface TrainProgram extends Program {
  /** One for each micro-batch. */
  readonly batches: readonly BatchInputs[];
  readonly schedule: Tensor;
  /** (rows, METRICS), a ring of what each step did. */
  readonly metrics: Tensor;
  /** Present if updates are recorded in the backward pass: the host writes NO_CLIP to it once. */
  readonly no_clip: Tensor | undefined;
  /** State tensors of each parameter. */
  readonly state: ReadonlyMap<Variable, readonly Tensor[]>;
  /** Gradient of each parameter, readable after a step if updates were recorded last. */
  readonly gradients: ReadonlyMap<Variable, Tensor>;
}

export interface EvaluateProgram extends Program {
  readonly batch: BatchInputs;
  /** (B*T) loss of each token. */
  readonly loss: Tensor;
}

export interface GenerateProgram extends Program {
  /** (T) u32 */
  readonly ids: Tensor;
  /** (1) u32: the last token that counts. */
  readonly position: Tensor;
  /** (1, V) */
  readonly logits: Tensor;
}

/** Everything a run does on the device. */
export interface Programs {
  readonly rope_table: Tensor;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly train?: TrainProgram;
  readonly evaluate?: EvaluateProgram;
  readonly generate?: GenerateProgram;
}

export interface TrainOptions {
  readonly variant: Variant;
  readonly model: Llama;
  /** (T, 2, D/2) */
  readonly rope_table: Tensor;
  readonly B: number;
  readonly T: number;
  readonly gradient_accumulation_steps: number;
  readonly gradient_checkpointing: boolean;
  /** 0 = no clipping. Then, and without accumulation, every update is recorded right after its gradient. */
  readonly max_grad_norm: number;
  readonly ruleFor: (parameter: Variable) => UpdateRule;
  /** Steps between two read-backs, at most. */
  readonly metrics_rows: number;
}

/** Records one optimizer step: forward and backward of every micro-batch, norm, clipping, updates, metrics. */
export function recordTrain(options: TrainOptions): TrainProgram {
  const { variant, model, rope_table, B, T, gradient_accumulation_steps: count, max_grad_norm } = options;
  const r = new Recorder({ variant, training: true });
  const schedule = scheduleTensor("schedule");
  const loss = tensor("loss", [count * B * T], "scratch");
  const trained = model.parameters.filter(({ needsGradient }) => needsGradient);
  const inBackward = max_grad_norm === 0 && count === 1;
  const no_clip = inBackward ? noClip() : undefined;
  const norm = gradientNorm(r, trained.map(({ value }) => size(value)), !inBackward);
  const state = new Map<Variable, readonly Tensor[]>();
  const update = (parameter: Variable, gradient: Tensor, clip: Tensor): void => {
    const rule = options.ruleFor(parameter);
    const own = stateOf(rule, parameter);
    state.set(parameter, own);
    rule.record(r, parameter, gradient, own, { schedule, clip });
  };

  const isTrained = new Set<Variable>(trained);
  const batches = [...Array(count).keys()].map((index) => {
    const batch = batchInputs(`batch ${index}`, B * T, model.embed_tokens.needsGradient);
    const hidden = llama(r, model, { ...batch, rope_table, B, T, gradient_checkpointing: options.gradient_checkpointing });
    crossEntropy(r, hidden, model.lm_head, batch.labels, schedule, { tensor: loss, first: index * B * T });
    r.backward((variable, gradient) => {
      if (!no_clip || !isTrained.has(variable)) return;
      norm.add([gradient]);
      update(variable, gradient, no_clip);
    });
    return batch;
  });

  const gradients = new Map<Variable, Tensor>(trained.map((parameter) => [parameter, r.gradientOf(parameter)!]));
  if (!inBackward) norm.add([...gradients.values()]);
  const clip = norm.finish(max_grad_norm);
  if (!inBackward) for (const [parameter, gradient] of gradients) update(parameter, gradient, clip);
  const metrics = recordMetrics(r, { schedule, clip, loss, rows: options.metrics_rows });
  return { name: "train", steps: r.steps, batches, schedule, metrics, no_clip, state, gradients };
}

/** Records a forward pass that leaves the loss of each token. */
export function recordEvaluate({ variant, model, rope_table, B, T }: Pick<TrainOptions, "variant" | "model" | "rope_table" | "B" | "T">): EvaluateProgram {
  const r = new Recorder({ variant, training: false });
  const batch = batchInputs("evaluation batch", B * T, false);
  const loss = tensor("evaluation loss", [B * T], "output");
  const hidden = llama(r, model, { ...batch, rope_table, B, T });
  crossEntropy(r, hidden, model.lm_head, batch.labels, scheduleTensor("evaluation schedule"), { tensor: loss, first: 0 });
  return { name: "evaluate", steps: r.steps, batch, loss };
}

/** Records a forward pass over one sequence that leaves the logits of the token after `position`. */
export function recordGenerate({ variant, model, rope_table }: Pick<TrainOptions, "variant" | "model" | "rope_table">): GenerateProgram {
  const r = new Recorder({ variant, training: false });
  const T = rope_table.shape[0]!;
  const ids = tensor("prompt", [T], "input", "u32"), position = tensor("prompt position", [1], "input", "u32");
  const hidden = llama(r, model, { ids, rope_table, B: 1, T });
  const last = embedding(r, hidden, position);
  const logits = tensor("next logits", [1, model.config.vocab_size], "output");
  linear(r, last, model.lm_head, { out: logits });
  return { name: "generate", steps: r.steps, ids, position, logits };
}

function batchInputs(label: string, N: number, withSegments: boolean): BatchInputs {
  const input = (name: string, length: number): Tensor => tensor(`${label} ${name}`, [length], "input", "u32");
  const batch = { ids: input("input_ids", N), labels: input("labels", N) };
  if (!withSegments) return batch;
  return { ...batch, segments: { order: input("order", N), segment_ids: input("segment_ids", N), segment_offsets: input("segment_offsets", N + 1) } };
}
