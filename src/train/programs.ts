import type { Variant } from "../gpu/device.ts";
import { classesOf, hiddenStates, type Model, recordLoss } from "../models/model.ts";
import { trainedPart } from "../models/parts.ts";
import { embedding } from "../ops/embedding.ts";
import { linear } from "../ops/linear.ts";
import { gradientNorm, noClip } from "../optim/step/clip.ts";
import { metricsTensor, recordMetrics } from "../optim/step/metrics.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { scheduleTensor } from "../optim/step/schedule.ts";
import { type Program, Recorder, type Variable } from "../plan/recorder.ts";
import { size, type Tensor, tensor } from "../plan/tensor.ts";
import { type BatchInputs, batchInputs, type PromptInputs } from "./inputs.ts";

/**
 * The training step of a run: the first of its variants, which differ in whose subspace they change and in what they
 * train.
 */
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
  /**
   * Gradient of each parameter in the first variant, readable after a step if updates were recorded last and in one
   * pass.
   */
  readonly gradients: ReadonlyMap<Variable, Tensor>;
}

export interface EvaluateProgram extends Program {
  readonly batch: BatchInputs;
  /** (B*T) loss of each token, or (B) of each sequence of a model that classifies. */
  readonly loss: Tensor;
  /** (B, classes) of a model that classifies. */
  readonly logits: Tensor | undefined;
}

export interface GenerateProgram extends Program {
  /** One sequence. */
  readonly batch: PromptInputs;
  /** (1) u32 */
  readonly position: Tensor;
  /** (1, V) */
  readonly logits: Tensor;
}

export interface Programs {
  /** (T, 2, D/2), of models with RoPE. */
  readonly rope_table: Tensor | undefined;
  readonly train?: TrainProgram;
  readonly evaluate?: EvaluateProgram;
  readonly generate?: GenerateProgram | undefined;
}

export interface TrainOptions {
  readonly variant: Variant;
  readonly model: Model;
  /** (T, 2, D/2), of models with RoPE. */
  readonly rope_table: Tensor | undefined;
  readonly B: number;
  readonly T: number;
  /** Sequences hold several documents, or padding that must not be seen. */
  readonly packed?: boolean;
  /** Of dropout; undefined: without. */
  readonly dropout_seed?: number | undefined;
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

/**
 * Records one optimizer step, in all its variants: forward and backward of every micro-batch, norm, clipping, updates,
 * metrics.
 */
export function recordTrain(options: TrainOptions): TrainProgram {
  const {
    model,
    B,
    T,
    packed = false,
    dropout_seed: seed,
    gradient_accumulation_steps: count,
    max_grad_norm,
    optimizer,
  } = options;
  const shared: Shared = {
    batches: [...Array(count).keys()].map((index) =>
      batchInputs(`batch ${index}`, model, { B, T, packed, training: true, ...(seed !== undefined && { seed }) })
    ),
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
  const rows = batches[0]!.labels.shape[0]!;
  const loss = tensor("loss", [batches.length * rows], "scratch");
  const trained = new Set(
    model.parameters.filter((parameter) => parameter.needsGradient && optimizer.trains(variant, parameter)),
  );
  const part = trainedPart(model, trained);
  const norm = gradientNorm(r, [...trained].map(({ value }) => size(value)), !no_clip);
  const update = (parameter: Variable, gradient: Tensor, clip: Tensor): void =>
    optimizer.record(r, variant, parameter, gradient, { schedule, clip });
  batches.forEach((batch, index) => {
    const inputs = {
      ...batch,
      ...(rope_table && { rope_table }),
      B,
      T,
      gradient_checkpointing: options.gradient_checkpointing,
    };
    recordLoss(r, part, inputs, batch.labels, schedule, { tensor: loss, first: index * rows });
    r.backward((variable, gradient) => {
      if (!no_clip || !(trained as ReadonlySet<Variable>).has(variable)) return;
      norm.add([gradient]);
      update(variable, gradient, no_clip);
    });
  });

  const gradients = new Map<Variable, Tensor>([...trained].map((parameter) => [parameter, r.gradientOf(parameter)!]));
  if (!no_clip) norm.add([...gradients.values()]);
  const clip = norm.finish(max_grad_norm);
  if (!no_clip) { for (const [parameter, gradient] of gradients) update(parameter, gradient, clip); }
  recordMetrics(r, { schedule, clip, loss, metrics });
  return { program: { name: variant, steps: r.steps }, gradients };
}

type ForwardOptions = Pick<TrainOptions, "variant" | "model" | "rope_table" | "B" | "T" | "packed">;

/** Records a forward pass that leaves the loss of each token, or the loss and the logits of each sequence. */
export function recordEvaluate({ variant, model, rope_table, B, T, packed = false }: ForwardOptions): EvaluateProgram {
  const r = new Recorder({ variant, training: false });
  const batch = batchInputs("evaluation batch", model, { B, T, packed, training: false });
  const loss = tensor("evaluation loss", batch.labels.shape, "output");
  const classes = classesOf(model);
  const logits = classes && tensor("evaluation logits", [B, classes.length], "output");
  recordLoss(
    r,
    model,
    { ...batch, ...(rope_table && { rope_table }), B, T },
    batch.labels,
    scheduleTensor("evaluation schedule"),
    { tensor: loss, first: 0 },
    logits,
  );
  return { name: "evaluate", steps: r.steps, batch, loss, logits };
}

/**
 * Records a forward pass over one sequence of T tokens that leaves the logits of the token after `position`. Undefined
 * for a model that classifies.
 */
export function recordGenerate(
  { variant, model, rope_table, T }: Omit<ForwardOptions, "B" | "packed">,
): GenerateProgram | undefined {
  if (model.family === "bert") return undefined;
  const r = new Recorder({ variant, training: false });
  const batch = batchInputs("prompt", model, { B: 1, T, packed: false, training: false }),
    position = tensor("prompt position", [1], "input", "u32");
  const hidden = hiddenStates(r, model, { ...batch, ...(rope_table && { rope_table }), B: 1, T });
  const last = embedding(r, hidden, position);
  const logits = tensor("next logits", [1, model.config.vocab_size], "output");
  linear(r, last, model.lm_head, { out: logits });
  return { name: "generate", steps: r.steps, batch, position, logits };
}
