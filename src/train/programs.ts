import type { Variant } from "../gpu/device.ts";
import { type Llama, llama, trainedPart } from "../models/llama.ts";
import { crossEntropy } from "../ops/cross_entropy.ts";
import { embedding, type Segments } from "../ops/embedding.ts";
import { linear } from "../ops/linear.ts";
import { gradientNorm, noClip } from "../optim/step/clip.ts";
import { metricsTensor, recordMetrics } from "../optim/step/metrics.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { scheduleTensor } from "../optim/step/schedule.ts";
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

/** The training step of a run: the first of its variants, which differ in whose subspace they change and in what they train. */
export interface TrainProgram extends Program {
  /** By the names of `optimizer.variants`. They share all that persists. */
  readonly variants: ReadonlyMap<string, Program>;
  readonly optimizer: Optimizer;
  /** One for each micro-batch. */
  readonly batches: readonly BatchInputs[];
  readonly schedule: Tensor;
  /** (rows, METRICS), a ring of what each step did. */
  readonly metrics: Tensor;
  /** Present if updates are recorded in the backward pass: the host writes NO_CLIP to it once. */
  readonly no_clip: Tensor | undefined;
  /** Gradient of each parameter in the first variant, readable after a step if updates were recorded last and in one pass. */
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
  readonly optimizer: Optimizer;
  /** Steps between two read-backs, at most. */
  readonly metrics_rows: number;
}

/** What the variants of a training step share. */
interface Shared {
  readonly batches: readonly BatchInputs[];
  readonly schedule: Tensor;
  readonly metrics: Tensor;
  readonly no_clip: Tensor | undefined;
}

/** Records one optimizer step, in all its variants: forward and backward of every micro-batch, norm, clipping, updates, metrics. */
export function recordTrain(options: TrainOptions): TrainProgram {
  const { model, B, T, gradient_accumulation_steps: count, max_grad_norm, optimizer } = options;
  const shared: Shared = {
    batches: [...Array(count).keys()].map((index) => batchInputs(`batch ${index}`, B * T, model.embed_tokens.needsGradient)),
    schedule: scheduleTensor("schedule"),
    metrics: metricsTensor(options.metrics_rows),
    no_clip: max_grad_norm === 0 && count === 1 ? noClip() : undefined,
  };
  const recorded = optimizer.variants.map((variant) => recordVariant(options, variant, shared));
  const variants = new Map(recorded.map(({ program }, i) => [optimizer.variants[i]!, program]));
  return { ...recorded[0]!.program, variants, optimizer, ...shared, gradients: recorded[0]!.gradients };
}

function recordVariant(options: TrainOptions, variant: string, { batches, schedule, metrics, no_clip }: Shared) {
  const { model, rope_table, B, T, max_grad_norm, optimizer } = options;
  const r = new Recorder({ variant: options.variant, training: true });
  const loss = tensor("loss", [batches.length * B * T], "scratch");
  const trained = new Set(model.parameters.filter((parameter) => parameter.needsGradient && optimizer.trains(variant, parameter)));
  const part = trainedPart(model, trained);
  const norm = gradientNorm(r, [...trained].map(({ value }) => size(value)), !no_clip);
  const update = (parameter: Variable, gradient: Tensor, clip: Tensor): void => optimizer.record(r, variant, parameter, gradient, { schedule, clip });
  batches.forEach((batch, index) => {
    const hidden = llama(r, part, { ...batch, rope_table, B, T, gradient_checkpointing: options.gradient_checkpointing });
    crossEntropy(r, hidden, part.lm_head, batch.labels, schedule, { tensor: loss, first: index * B * T });
    r.backward((variable, gradient) => {
      if (!no_clip || !(trained as ReadonlySet<Variable>).has(variable)) return;
      norm.add([gradient]);
      update(variable, gradient, no_clip);
    });
  });

  const gradients = new Map<Variable, Tensor>([...trained].map((parameter) => [parameter, r.gradientOf(parameter)!]));
  if (!no_clip) norm.add([...gradients.values()]);
  const clip = norm.finish(max_grad_norm);
  if (!no_clip) for (const [parameter, gradient] of gradients) update(parameter, gradient, clip);
  recordMetrics(r, { schedule, clip, loss, metrics });
  return { program: { name: variant, steps: r.steps }, gradients };
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
