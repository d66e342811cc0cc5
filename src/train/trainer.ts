import { type Batch, type EmbeddingSegments, embeddingSegments } from "../data/text.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Llama } from "../models/llama.ts";
import { initialValues } from "../models/parameter.ts";
import { ropeTable } from "../models/rope_table.ts";
import { IGNORED } from "../ops/cross_entropy.ts";
import { NO_CLIP } from "../optim/step/clip.ts";
import { METRICS } from "../optim/step/metrics.ts";
import { packSchedule } from "../optim/step/schedule.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import { Executor } from "../plan/executor.ts";
import { allTensors, type MemoryPlan, planMemory } from "../plan/memory.ts";
import type { Program } from "../plan/recorder.ts";
import { bytesOf, type Tensor } from "../plan/tensor.ts";
import type { BatchInputs, Programs } from "./programs.ts";
import { refactorise } from "./refactorise.ts";

type Words = Uint32Array<ArrayBuffer>;

/** A run between two steps: weights, optimizer state as bits, and where the switches of subspaces stand. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  readonly switching: SwitchingState;
  readonly tensors: ReadonlyMap<string, Words>;
}

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
    for (const [table, values] of train?.optimizer.constants ?? []) executor.write(table, values);
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

  /** Everything that training has changed: with it, restore() goes on as if nothing had happened, bit by bit. CPU-GPU sync points. */
  async save(): Promise<TrainingState> {
    const tensors = new Map<string, Words>();
    for (const tensor of this.#persistent()) tensors.set(tensor.label, await this.executor.readWords(tensor));
    return { step: this.#steps, switching: this.#programs.train!.optimizer.save(), tensors };
  }

  /**
   * Takes up what save() gave, in a trainer of the same settings that has made no step.
   * @throws RangeError if the tensors are not the same.
   */
  restore({ step, switching, tensors }: TrainingState): void {
    const persistent = this.#persistent();
    const problem = persistent.find((tensor) => tensors.get(tensor.label)?.byteLength !== bytesOf(tensor));
    if (problem || tensors.size !== persistent.length) {
      throw new RangeError(`Cannot resume: ${problem ? `the checkpoint has no tensor "${problem.label}" of ${bytesOf(problem)} bytes` : "the checkpoint has tensors that this run has not"}. Resume with the settings that it was saved with`);
    }
    for (const tensor of persistent) this.executor.write(tensor, tensors.get(tensor.label)!);
    this.#programs.train!.optimizer.restore(switching);
    this.#steps = this.#stepsRead = step;
  }

  /** Parameters and optimizer state. */
  #persistent(): Tensor[] {
    const used = allTensors([...this.#programs.train!.variants.values()]);
    return [...used].filter(({ role }) => role === "trainable" || role === "state");
  }

  /** Balances the factors of a factorised model, after which all moments begin anew. CPU-GPU sync points. */
  async refactorise(): Promise<void> {
    await refactorise(this.executor, this.#model.factorised);
    this.#programs.train!.optimizer.restartAt(this.#steps);
  }

  /** Hears of a validation loss: a growing update_gap follows it. */
  evaluated(loss: number): void {
    this.#programs.train!.optimizer.evaluated(loss);
  }

  /** Submits one optimizer step. Does not wait for the GPU. */
  step(batches: readonly Batch[], learning_rate: number): void {
    const train = this.#programs.train!;
    const { variant, inputs: numbers } = train.optimizer.at(this.#steps);
    const inputs = new Map<Tensor, Words>(numbers);
    train.batches.forEach((tensors, i) => this.#addBatch(inputs, tensors, batches[i]!));
    inputs.set(train.schedule, packSchedule({
      learning_rate,
      loss_scale: 1 / Math.max(1, batches.reduce((sum, { labels }) => sum + countLabels(labels), 0)),
      metrics_row: this.#steps % train.metrics.shape[0]!,
    }));
    this.executor.writeInputs(inputs);
    this.executor.run(train.variants.get(variant)!);
    this.#steps++;
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
    const [program] = this.#programs.train!.variants.values();
    const found = await this.executor.firstNonFinite(program!);
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
  return planMemory([...(train?.variants.values() ?? []), evaluate, generate, ...others].filter((program) => program !== undefined));
}

const countLabels = (labels: Words): number => labels.reduce((count, label) => count + (label === IGNORED ? 0 : 1), 0);
