import type { KernelTarget } from "../gpu/device.ts";
import type { ModelBatch } from "../data/batch.ts";
import type { Model, Table } from "../models/architecture.ts";
import type { ForwardInputs } from "../models/forward_inputs.ts";
import { isLanguageModel, recordNextLogits } from "../models/model.ts";
import { trainedPart } from "../models/parts.ts";
import { gradientNorm, NO_CLIP, noClip } from "../optim/step/clip.ts";
import { metricsTensor, recordMetrics } from "../optim/step/metrics.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { recordUpdates } from "../optim/record_updates.ts";
import { scheduleTensor } from "../optim/step/schedule.ts";
import { allTensors, type MemoryPlan, planMemory } from "../plan/memory.ts";
import type { Data } from "../plan/pieces.ts";
import { type Program, Recorder, type Variable } from "../plan/recorder.ts";
import { size, type Tensor, tensor } from "../plan/tensor.ts";
import { type BatchInputs, batchInputs, type SequenceInputs, sequenceInputs } from "./batch_inputs.ts";
import { type Objective, objectiveOf, type ObjectiveTensors } from "./objective.ts";

/** Constant tables of a model by name, shared by all programs of a run. */
export type Tables = Readonly<Record<string, Table>>;

/** The batches of any objective: programs are kept side by side whatever they take. */
// deno-lint-ignore no-explicit-any
export type AnyBatch = any;

/** A program with the constants that it reads, to be written once before it runs. */
export interface PreparedProgram extends Program {
  /** Tensors written once, and their values. */
  readonly constants: ReadonlyMap<Tensor, () => Data>;
}

/**
 * The training step of a run: the first of its programs, which differ in whose subspace they change and in what they
 * train.
 */
export interface TrainProgram<B extends ModelBatch = AnyBatch> extends PreparedProgram {
  /** By the names of `optimizer.stepKinds`. They share all that persists. */
  readonly programs: ReadonlyMap<string, Program>;
  /** Updates the trained parameters. */
  readonly optimizer: Optimizer;
  /** The goal of the training, and how examples become tensors. */
  readonly objective: Objective<B>;
  /** One for each micro-batch. */
  readonly batches: readonly BatchInputs[];
  /** The learning rate and other numbers of the step. */
  readonly schedule: Tensor;
  /** (rows, METRICS), a ring of the numbers of each step. */
  readonly metrics: Tensor;
  /**
   * Gradient of each parameter in the first program, readable after a step if updates were recorded last and in one
   * pass.
   */
  readonly gradients: ReadonlyMap<Variable, Tensor>;
}

/** A forward pass that leaves losses. */
export interface EvaluateProgram<B extends ModelBatch = AnyBatch> extends PreparedProgram {
  /** The goal of the training, and how examples become tensors. */
  readonly objective: Objective<B>;
  /** The input tensors of a batch. */
  readonly batch: BatchInputs;
  /** One loss for each token, sequence or pair of the objective. */
  readonly loss: Tensor;
  /** The objective's outputs, e.g. the logits (B, classes) of a model that classifies. */
  readonly outputs: ObjectiveTensors;
}

/** A forward pass over one sequence that leaves the logits of its next token. */
export interface GenerateProgram extends PreparedProgram {
  /** The input tensors of a batch. */
  readonly batch: SequenceInputs;
  /** (1) u32 */
  readonly position: Tensor;
  /** (1, V) */
  readonly logits: Tensor;
}

/** The programs of a training run. They never run at once, so they share what is transient. */
export interface Programs {
  /** Runs a training step. */
  readonly train: TrainProgram;
  /** Scores a batch. */
  readonly evaluate: EvaluateProgram;
  /** Absent for a model that classifies. */
  readonly generate?: GenerateProgram | undefined;
  /** Programs of step hooks. */
  readonly hooks?: readonly Program[];
}

/** The settings of a forward pass. */
export interface ForwardOptions {
  /** The kernels that suit the adapter. */
  readonly target: KernelTarget;
  /** The model. */
  readonly model: Model;
  /** `tablesOf(model, T)`, the same for all programs of a run. */
  readonly tables: Tables;
  /** Sequences in a batch. */
  readonly B: number;
  /** Tokens in a sequence. */
  readonly T: number;
  /** True if sequences hold several documents, or padding that must not be seen. */
  readonly packed?: boolean;
  /** The storage of what layers pass on to each other, and of its gradients: see `RecorderOptions`. */
  readonly activations?: "f32" | "bf16";
}

/** The settings of a forward pass that ends in losses. */
export interface LossOptions extends ForwardOptions {
  /** By default the one that the model is made for. */
  readonly objective?: Objective<AnyBatch> | undefined;
}

/** The settings of a training step. */
export interface TrainProgramOptions extends LossOptions {
  /** Seed of dropout; without one nothing is dropped. */
  readonly dropout_seed?: number | undefined;
  /** Micro-batches a step. */
  readonly gradient_accumulation_steps: number;
  /** True if activations are computed again in the backward pass. */
  readonly gradient_checkpointing: boolean;
  /** 0 = no clipping. Then, and without accumulation, every update is recorded right after its gradient. */
  readonly max_grad_norm: number;
  /** Updates the trained parameters. */
  readonly optimizer: Optimizer;
  /** Steps between two read-backs, at most. */
  readonly metrics_rows: number;
}

/** The constant tables of a model for sequences of T tokens. */
export const tablesOf = ({ architecture, config }: Model, T: number): Tables => architecture.tables?.(config, T) ?? {};

/** The tensors of tables, as a forward pass reads them. */
export const tableTensors = (tables: Tables): Pick<ForwardInputs, "tables"> => ({
  tables: Object.fromEntries(Object.entries(tables).map(([name, { tensor }]) => [name, tensor])),
});

const constantsOf = (tables: Tables): [Tensor, () => Data][] =>
  Object.values(tables).map(({ tensor, values }) => [tensor, values]);

/** The tensors that all programs of a training step share. */
interface Shared {
  readonly batches: readonly BatchInputs[];
  readonly schedule: Tensor;
  readonly metrics: Tensor;
  /** Present if updates are recorded in the backward pass, before the norm of all gradients can be known. */
  readonly no_clip: Tensor | undefined;
}

/**
 * Records one optimizer step, in all its programs: forward and backward of every micro-batch, norm, clipping, updates,
 * metrics.
 */
export function recordTrain(options: TrainProgramOptions): TrainProgram {
  const { model, B, T, packed = false, gradient_accumulation_steps: count, optimizer } = options;
  const objective = options.objective ?? objectiveOf(model), seed = options.dropout_seed;
  const shared: Shared = {
    batches: [...Array(count).keys()].map((index) =>
      batchInputs(`batch ${index}`, model, objective, { B, T, packed, training: true, seed })
    ),
    schedule: scheduleTensor("schedule"),
    metrics: metricsTensor(options.metrics_rows),
    no_clip: options.max_grad_norm === 0 && count === 1 ? noClip() : undefined,
  };
  const recorded = optimizer.stepKinds.map((stepKind) => recordStepKind(options, objective, stepKind, shared));
  const programs = new Map(recorded.map(({ program }, i) => [optimizer.stepKinds[i]!, program]));
  const { batches, schedule, metrics, no_clip } = shared, [first] = recorded;
  const constants = new Map<Tensor, () => Data>([
    ...constantsOf(options.tables),
    ...(no_clip ? [[no_clip, () => NO_CLIP] as const] : []),
    ...[...optimizer.constants].map(([table, values]) => [table, () => values] as const),
  ]);
  const { program, gradients } = first!;
  return { ...program, constants, programs, optimizer, objective, batches, schedule, metrics, gradients };
}

function recordStepKind(
  options: TrainProgramOptions,
  objective: Objective,
  stepKind: string,
  { batches, schedule, metrics, no_clip }: Shared,
): { readonly program: Program; readonly gradients: ReadonlyMap<Variable, Tensor> } {
  const { model, tables, max_grad_norm, optimizer, gradient_checkpointing } = options;
  const r = new Recorder({ target: options.target, training: true, activations: options.activations ?? "f32" });
  const losses = objective.losses(options);
  const loss = tensor("loss", [batches.length * losses], "scratch");
  const trained = new Set(
    model.parameters.filter((parameter) => parameter.needsGradient && optimizer.trains(stepKind, parameter)),
  );
  const part = trainedPart(model, trained);
  const norm = no_clip && gradientNorm(r, [...trained].map(({ value }) => size(value)), false);
  batches.forEach((batch, index) => {
    objective.record(r, {
      model: part,
      inputs: { ...batch, ...tableTensors(tables), gradient_checkpointing },
      tensors: batch.objective,
      outputs: undefined,
      schedule,
      loss: { tensor: loss, first: index * losses },
    });
    r.backward((variable, gradient) => {
      if (!norm || !(trained as ReadonlySet<Variable>).has(variable)) return;
      norm.add([gradient]);
      optimizer.record(r, stepKind, variable, gradient, { schedule, clip: no_clip });
    });
  });

  const gradients = new Map<Variable, Tensor>([...trained].map((parameter) => [parameter, r.gradientOf(parameter)!]));
  const clip = norm?.finish(0) ?? recordUpdates(r, optimizer, stepKind, gradients, { schedule, max_grad_norm });
  recordMetrics(r, { schedule, clip, loss, metrics });
  return { program: { name: stepKind, steps: r.steps }, gradients };
}

/** Records a forward pass that leaves the losses of a batch, and the outputs that its objective has. */
export function recordEvaluate(options: LossOptions): EvaluateProgram {
  const { target, model, tables, B, T, packed = false, objective = objectiveOf(model), activations = "f32" } = options;
  const r = new Recorder({ target, training: false, activations });
  const batch = batchInputs("evaluation batch", model, objective, { B, T, packed, training: false });
  const loss = tensor("evaluation loss", [objective.losses({ B, T })], "output");
  const outputs = objective.outputs?.(model, { B, T }) ?? {};
  objective.record(r, {
    model,
    inputs: { ...batch, ...tableTensors(tables) },
    tensors: batch.objective,
    outputs,
    schedule: scheduleTensor("evaluation schedule"),
    loss: { tensor: loss, first: 0 },
  });
  return {
    name: "evaluate",
    steps: r.steps,
    constants: new Map(constantsOf(tables)),
    objective,
    batch,
    loss,
    outputs,
  };
}

/**
 * Records a forward pass over one sequence of T tokens that leaves the logits of the token after `position`. Undefined
 * for a model that classifies.
 */
export function recordGenerate(
  { target, model, tables, T, activations = "f32" }: Omit<ForwardOptions, "B" | "packed">,
): GenerateProgram | undefined {
  if (!isLanguageModel(model)) return undefined;
  const r = new Recorder({ target, training: false, activations });
  const batch = sequenceInputs("prompt", model, { B: 1, T, packed: false, training: false });
  const position = tensor("prompt position", [1], "input", "u32");
  const logits = tensor("next logits", [1, model.config.vocab_size], "output");
  recordNextLogits(r, model, { ...batch, ...tableTensors(tables) }, position, logits);
  return { name: "generate", steps: r.steps, constants: new Map(constantsOf(tables)), batch, position, logits };
}

/** Every program of a run that has a place on the device. */
const programsIn = ({ train, evaluate, generate, hooks = [] }: Partial<Programs>): Program[] =>
  [...(train?.programs.values() ?? []), evaluate, generate, ...hooks].filter((program) => program !== undefined);

/** Plans the memory of programs together: they never run at once, so they share what is transient. */
export const planPrograms = (programs: Partial<Programs>): MemoryPlan => planMemory(programsIn(programs));

/** Everything that training changes: parameters, optimizer state, and the state of hooks. */
export const persistentTensors = ({ train, hooks = [] }: Pick<Programs, "train" | "hooks">): Tensor[] =>
  [...allTensors([...train.programs.values(), ...hooks])].filter(({ role }) =>
    role === "trainable" || role === "state"
  );
