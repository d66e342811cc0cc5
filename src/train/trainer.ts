import type { Batch } from "../data/batch.ts";
import type { StreamPosition } from "../data/stream.ts";
import { type ClassificationMetrics, classificationMetrics } from "./classification_metrics.ts";
import type { Gpu } from "../gpu/device.ts";
import { unpack } from "../gpu/formats/index.ts";
import type { Model } from "../models/model.ts";
import { initialValues, type Parameter } from "../models/parameter.ts";
import { factorisedLayers } from "../models/parts.ts";
import { ropeTable } from "../models/rope_table.ts";
import { IGNORED } from "../data/batch.ts";
import { NO_CLIP } from "../optim/step/clip.ts";
import { METRICS } from "../optim/step/metrics.ts";
import { packSchedule } from "../optim/step/schedule.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import { Executor } from "../plan/executor.ts";
import { allTensors, type MemoryPlan, planMemory } from "../plan/memory.ts";
import type { Program } from "../plan/recorder.ts";
import { bytesOf, size, type Tensor } from "../plan/tensor.ts";
import { BatchWriter } from "./inputs.ts";
import { type LayoutEntry, layoutOf, type Remapping } from "./layout.ts";
import type { Programs } from "./programs.ts";
import { refactorise } from "./refactorise.ts";
import { mergeAdapters } from "./relora.ts";

type Words = Uint32Array<ArrayBuffer>;

/** A run between two steps: weights, optimizer state as bits, and where the switches of subspaces stand. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Where the data are, if they are read as a stream. */
  readonly position: StreamPosition | null;
  readonly switching: SwitchingState;
  readonly layout: readonly LayoutEntry[];
  /** By name, the bits of each. */
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

/** What a model makes of data that it is not trained on. */
export interface Evaluation extends Partial<ClassificationMetrics> {
  /** Mean of the labels' losses, in nats. */
  readonly eval_loss: number;
  /** How many there were. */
  readonly labels: number;
}

/** Writes the weights of files until it is given up; returns the parameters that it has written. */
export type LoadWeights = (executor: Executor, model: Model, given?: AbortSignal) => Promise<ReadonlySet<Parameter>>;

export interface TrainerOptions {
  /** Of initial weights. Without it the caller sets every parameter that `load` does not. */
  readonly seed?: number;
  readonly load?: LoadWeights | undefined;
  readonly onPipeline?: (done: number, total: number) => void;
}

/** A planned run on a device: weights and optimizer state live here, and every step is one submit. */
export class Trainer {
  readonly executor: Executor;
  readonly #programs: Programs;
  readonly #model: Model;
  readonly #writer: BatchWriter;
  /** Looked for once: BAdam has as many programs as layers. */
  readonly #persistent: readonly Tensor[];
  #steps = 0;
  #stepsRead = 0;
  /**
   * Weights that a run before has trained and this one freezes, as they were trained: no file of the model has them.
   */
  #learnt: ReadonlyMap<LayoutEntry, Words> = new Map();

  private constructor(executor: Executor, programs: Programs, model: Model) {
    this.executor = executor;
    this.#programs = programs;
    this.#model = model;
    this.#writer = new BatchWriter(model);
    this.#persistent = programs.train ? persistentTensors(programs) : [];
  }

  /** Allocates, compiles, and uploads the weights of files, and the initial ones of a seed for all others. */
  static async create(
    gpu: Gpu,
    model: Model,
    programs: Programs,
    plan: MemoryPlan,
    { seed, load, onPipeline }: TrainerOptions = {},
  ): Promise<Trainer> {
    const executor = await Executor.create(gpu, plan, onPipeline);
    try {
      const { rope_table, train } = programs;
      if (rope_table && model.family === "llama") {
        executor.write(
          rope_table,
          ropeTable(rope_table.shape[0]!, model.config.head_dim, model.config.rope_parameters),
        );
      }
      if (train?.no_clip) executor.write(train.no_clip, NO_CLIP);
      for (const [table, values] of train?.optimizer.constants ?? []) executor.write(table, values);
      const loaded = await load?.(executor, model);
      if (seed !== undefined) {
        for (const parameter of model.parameters) {
          if (!loaded?.has(parameter)) executor.write(parameter.value, initialValues(parameter, seed));
        }
      }
    } catch (error) {
      executor.destroy();
      throw error;
    }
    return new Trainer(executor, programs, model);
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

  /**
   * Everything that training has changed: with it, restore() goes on as if nothing had happened, bit by bit. CPU-GPU
   * sync points.
   */
  async save(position: StreamPosition | null = null): Promise<TrainingState> {
    const tensors = new Map([...this.#learnt].map(([{ name }, words]) => [name, words]));
    for (const tensor of this.#persistent) tensors.set(tensor.label, await this.executor.readWords(tensor));
    return {
      step: this.#steps,
      position,
      switching: this.#programs.train!.optimizer.save(),
      layout: this.layout,
      tensors,
    };
  }

  /**
   * Takes up what save() gave, in a trainer that has made no step. With a remapping only the weights are taken, and the
   * optimizer begins anew. Weights that are frozen now are rounded to the format of this run, but saved again as they
   * were trained.
   * @throws RangeError if a tensor is not as large as here, or one is missing.
   */
  restore({ step, switching, layout, tensors }: TrainingState, remapping?: Remapping): void {
    const places = new Map(
      [...this.#persistent, ...this.#model.parameters.map(({ value }) => value)].map((
        tensor,
      ) => [tensor.label, tensor]),
    );
    const names = remapping
      ? [...remapping.kept, ...remapping.thawed.filter((name) => tensors.has(name))]
      : this.#persistent.map(({ label }) => label);
    for (const name of names) {
      const tensor = places.get(name), words = tensors.get(name);
      if (!tensor || words?.byteLength !== bytesOf(tensor)) {
        throw new RangeError(
          `Cannot resume: the checkpoint has no tensor "${name}" of ${
            tensor ? bytesOf(tensor) : 0
          } bytes. Resume with the settings that it was saved with`,
        );
      }
      this.executor.write(tensor, words);
    }
    const frozen = new Set(remapping?.frozen ?? layout.filter(({ role }) => role === "frozen").map(({ name }) => name));
    this.#learnt = new Map(
      layout.filter(({ name }) => frozen.has(name)).map((
        entry,
      ) => [{ ...entry, role: "frozen" }, tensors.get(entry.name)!]),
    );
    for (const [entry, words] of this.#learnt) this.#writeFrozen(places.get(entry.name)!, entry, words);
    this.#steps = this.#stepsRead = step;
    const { optimizer } = this.#programs.train!;
    if (remapping) optimizer.beginAt(step);
    else optimizer.restore(switching);
  }

  /** Writes numbers that were trained in another format, if need be. */
  #writeFrozen(tensor: Tensor, { type }: LayoutEntry, words: Words): void {
    const isSame = type === tensor.type || type === "u32";
    this.executor.write(tensor, isSame ? words : unpack(type, words, size(tensor)));
  }

  /** What a checkpoint of this run holds. */
  get layout(): LayoutEntry[] {
    return [...layoutOf(this.#persistent), ...this.#learnt.keys()];
  }

  /** Balances the factors of a factorised model, after which all moments begin anew. CPU-GPU sync points. */
  async refactorise(): Promise<void> {
    await refactorise(this.executor, factorisedLayers(this.#model));
    this.#programs.train!.optimizer.restartAt(this.#steps);
  }

  /**
   * Adds every adapter to the weight beside it and starts a new one, after which all moments begin anew (ReLoRA).
   * CPU-GPU sync points.
   */
  async mergeAdapters(seed: number): Promise<void> {
    await mergeAdapters(this.executor, this.#model, seed, this.#steps);
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
    train.batches.forEach((tensors, i) => this.#writer.add(inputs, tensors, batches[i]!, this.#steps, i));
    inputs.set(
      train.schedule,
      packSchedule({
        learning_rate,
        loss_scale: 1 / Math.max(1, batches.reduce((sum, { labels }) => sum + countLabels(labels), 0)),
        metrics_row: this.#steps % train.metrics.shape[0]!,
      }),
    );
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

  /**
   * Mean loss over all labels of the batches, and how well a model does that classifies. A CPU-GPU sync point for each
   * batch.
   */
  async evaluate(batches: AsyncIterable<Batch> | Iterable<Batch>): Promise<Evaluation> {
    const program = this.#programs.evaluate!, classes = program.logits?.shape[1];
    const predictions: number[] = [], labels: number[] = [];
    let sum = 0, count = 0;
    for await (const batch of batches) {
      const inputs = new Map<Tensor, Words>();
      this.#writer.add(inputs, program.batch, batch);
      this.executor.writeInputs(inputs);
      this.executor.run(program);
      for (const loss of await this.executor.read(program.loss)) sum += loss;
      count += countLabels(batch.labels);
      if (!classes) continue;
      const logits = await this.executor.read(program.logits!);
      labels.push(...batch.labels);
      batch.labels.forEach((_, row) =>
        predictions.push(indexOfLargest(logits.subarray(row * classes, (row + 1) * classes)))
      );
    }
    return {
      eval_loss: sum / count,
      labels: count,
      ...(classes && classificationMetrics(predictions, labels, classes)),
    };
  }

  /** Logits of the token after `ids`: (V). `ids` may hold at most T tokens. A CPU-GPU sync point. */
  async nextLogits(ids: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    const program = this.#programs.generate!;
    const input_ids = new Uint32Array(program.batch.T), inputs = new Map<Tensor, Words>();
    input_ids.set(ids);
    this.#writer.addPrompt(inputs, program.batch, { input_ids });
    this.executor.writeInputs(inputs.set(program.position, Uint32Array.of(ids.length - 1)));
    this.executor.run(program);
    return await this.executor.read(program.logits);
  }

  /** After a loss that is not finite: replays the batch step by step and names the first tensor that went bad. */
  async diagnose(): Promise<string> {
    const [program] = this.#programs.train!.variants.values();
    const found = await this.executor.firstNonFinite(program!);
    return found
      ? `first bad tensor: ${found.tensor.label} (${found.kernel})`
      : "no single tensor is bad when the step is replayed";
  }

  destroy(): void {
    this.executor.destroy();
  }
}

/** Plans the memory of the programs together: they never run at once, so they share what is transient. */
export function planPrograms({ train, evaluate, generate }: Programs, others: readonly Program[] = []): MemoryPlan {
  return planMemory(
    [...(train?.variants.values() ?? []), evaluate, generate, ...others].filter((program) => program !== undefined),
  );
}

/** Everything that training changes: parameters and optimizer state. */
export const persistentTensors = ({ train }: Programs): Tensor[] =>
  [...allTensors([...train!.variants.values()])].filter(({ role }) => role === "trainable" || role === "state");

const countLabels = (labels: Words): number => labels.reduce((count, label) => count + (label === IGNORED ? 0 : 1), 0);

/** The first of the largest. */
const indexOfLargest = (numbers: Float32Array): number =>
  numbers.reduce((best, number, index) => (number > numbers[best]! ? index : best), 0);
