import { type Batch, type EmbeddingSegments, embeddingSegments } from "../data/text.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Llama } from "../models/llama.ts";
import { initialValues } from "../models/parameter.ts";
import { ropeTable } from "../models/rope_table.ts";
import { IGNORED } from "../ops/cross_entropy.ts";
import { NO_CLIP } from "../optim/clip.ts";
import { METRICS } from "../optim/metrics.ts";
import { packSchedule } from "../optim/schedule.ts";
import { Executor } from "../plan/executor.ts";
import { type MemoryPlan, planMemory } from "../plan/memory.ts";
import type { Program } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { BatchInputs, Programs } from "./programs.ts";

type Words = Uint32Array<ArrayBuffer>;

/** What one optimizer step did. */
export interface StepMetrics {
  /** 0 for the first step. */
  readonly step: number;
  readonly loss: number;
  /** Before clipping. */
  readonly grad_norm: number;
  /** The gradient was not finite, so nothing was updated. */
  readonly skipped: boolean;
}

/** A planned run on a device: weights and optimizer state live here, and every step is one submit. */
export class Trainer {
  readonly executor: Executor;
  readonly #programs: Programs;
  readonly #model: Llama;
  /** Reused from step to step. */
  readonly #segments = new Map<BatchInputs, EmbeddingSegments>();
  #steps = 0;
  #stepsRead = 0;

  private constructor(executor: Executor, programs: Programs, model: Llama) {
    this.executor = executor;
    this.#programs = programs;
    this.#model = model;
  }

  /** Allocates, compiles, and uploads the initial weights of a seed. Without one the caller sets every parameter. */
  static async create(gpu: Gpu, model: Llama, programs: Programs, plan: MemoryPlan, seed: number | undefined, onPipeline?: (done: number, total: number) => void): Promise<Trainer> {
    const executor = await Executor.create(gpu, plan, onPipeline);
    const trainer = new Trainer(executor, programs, model);
    const { rope_table, train } = programs;
    executor.write(rope_table, ropeTable(rope_table.shape[0]!, model.config.head_dim, model.config.rope_parameters));
    if (train?.no_clip) executor.write(train.no_clip, NO_CLIP);
    if (seed !== undefined) for (const parameter of model.parameters) executor.write(parameter.value, initialValues(parameter, seed));
    return trainer;
  }

  /** Optimizer steps submitted so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Overwrites a parameter by its Hugging Face name. */
  setParameter(name: string, values: Float32Array<ArrayBuffer>): void {
    const found = this.#model.parameters.find(({ value }) => value.label === name);
    if (!found) throw new RangeError(`Cannot set parameter "${name}": the model has no such parameter`);
    this.executor.write(found.value, values);
  }

  /** Submits one optimizer step. Does not wait for the GPU. */
  step(batches: readonly Batch[], learning_rate: number): void {
    const train = this.#programs.train!;
    const { adam_beta1, adam_beta2 } = this.#programs;
    const inputs = new Map<Tensor, Words>();
    train.batches.forEach((tensors, i) => this.#addBatch(inputs, tensors, batches[i]!));
    const t = this.#steps + 1;
    inputs.set(train.schedule, packSchedule({
      learning_rate,
      bias_correction1: 1 - adam_beta1 ** t,
      bias_correction2: 1 - adam_beta2 ** t,
      loss_scale: 1 / Math.max(1, batches.reduce((sum, { labels }) => sum + countLabels(labels), 0)),
      metrics_row: this.#steps % train.metrics.shape[0]!,
    }));
    this.executor.writeInputs(inputs);
    this.executor.run(train);
    this.#steps = t;
  }

  /** Metrics of the steps since the last call, at most as many as the ring holds. A CPU-GPU sync point. */
  async readMetrics(): Promise<StepMetrics[]> {
    const { metrics } = this.#programs.train!;
    const rows = metrics.shape[0]!;
    const values = await this.executor.read(metrics);
    const first = Math.max(this.#stepsRead, this.#steps - rows);
    const read: StepMetrics[] = [];
    for (let step = first; step < this.#steps; step++) {
      const at = (step % rows) * METRICS;
      read.push({ step, loss: values[at]!, grad_norm: values[at + 1]!, skipped: values[at + 2]! !== 0 });
    }
    this.#stepsRead = this.#steps;
    return read;
  }

  /** Mean loss over all tokens of the batches. A CPU-GPU sync point for each batch. */
  async evaluate(batches: readonly Batch[]): Promise<number> {
    const program = this.#programs.evaluate!;
    let sum = 0, count = 0;
    for (const batch of batches) {
      const inputs = new Map<Tensor, Words>();
      this.#addBatch(inputs, program.batch, batch);
      this.executor.writeInputs(inputs);
      this.executor.run(program);
      for (const loss of await this.executor.read(program.loss)) sum += loss;
      count += countLabels(batch.labels);
    }
    return sum / count;
  }

  /** Logits of the token after `ids`: (V). `ids` may hold at most T tokens. A CPU-GPU sync point. */
  async nextLogits(ids: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    const program = this.#programs.generate!;
    const padded = new Uint32Array(program.ids.shape[0]!);
    padded.set(ids);
    this.executor.writeInputs(new Map([[program.ids, padded], [program.position, Uint32Array.of(ids.length - 1)]]));
    this.executor.run(program);
    return await this.executor.read(program.logits);
  }

  /** After a loss that is not finite: replays the batch step by step and names the first tensor that went bad. */
  async diagnose(): Promise<string> {
    const found = await this.executor.firstNonFinite(this.#programs.train!);
    return found ? `first bad tensor: ${found.tensor.label} (${found.kernel})` : "no single tensor is bad when the step is replayed";
  }

  #addBatch(inputs: Map<Tensor, Words>, tensors: BatchInputs, { input_ids, labels }: Batch): void {
    inputs.set(tensors.ids, input_ids).set(tensors.labels, labels);
    if (!tensors.segments) return;
    const sorted = embeddingSegments(input_ids, this.#segments.get(tensors));
    this.#segments.set(tensors, sorted);
    const { order, segment_ids, segment_offsets } = sorted;
    inputs.set(tensors.segments.order, order).set(tensors.segments.segment_ids, segment_ids).set(tensors.segments.segment_offsets, segment_offsets);
  }

  destroy(): void {
    this.executor.destroy();
  }
}

/** Plans the memory of the programs together: they never run at once, so they share what is transient. */
export function planPrograms({ train, evaluate, generate }: Programs, others: readonly Program[] = []): MemoryPlan {
  return planMemory([train, evaluate, generate, ...others].filter((program) => program !== undefined));
}

const countLabels = (labels: Words): number => labels.reduce((count, label) => count + (label === IGNORED ? 0 : 1), 0);
