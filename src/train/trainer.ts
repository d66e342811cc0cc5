import type { ModelBatch } from "../data/batch.ts";
import type { StreamPosition } from "../data/stream.ts";
import type { Gpu } from "../gpu/device.ts";
import { unpack } from "../gpu/formats/index.ts";
import type { Model } from "../models/architecture.ts";
import { METRICS } from "../optim/step/metrics.ts";
import { packSchedule } from "../optim/step/schedule.ts";
import type { SwitchingState } from "../optim/step/switching.ts";
import type { Executor } from "../plan/executor.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import { bytesOf, size, type Tensor } from "../plan/tensor.ts";
import { type LayoutEntry, layoutOf, type Remapping } from "./layout.ts";
import { persistentTensors, type Programs, type TrainProgram } from "./programs.ts";
import type { InputValues } from "./batch_inputs.ts";
import { openExecutor, Session, type SessionOptions } from "./session.ts";

type Words = Uint32Array<ArrayBuffer>;

/** A run between two steps: weights, optimizer state as bits, and the place of the switches of subspaces. */
export interface TrainingState {
  /** Steps done. */
  readonly step: number;
  /** Position in the data, if they are read as a stream. */
  readonly position: StreamPosition | null;
  /** The place of subspaces between two switches. */
  readonly switching: SwitchingState;
  /** The tensors that are saved, in order. */
  readonly layout: readonly LayoutEntry[];
  /** The bits of each tensor by name. */
  readonly tensors: ReadonlyMap<string, Uint32Array<ArrayBuffer>>;
}

/** The numbers of one optimizer step. */
export interface StepMetrics {
  /** 0 for the first step. */
  readonly step: number;
  /** The training loss, a mean over the step's labels. */
  readonly loss: number;
  /** Before clipping. */
  readonly grad_norm: number;
  /** The gradient was not finite, so nothing was updated. */
  readonly skipped: boolean;
}

/** A session that trains: weights and optimizer state live on the device, and every step is one submit. */
export class Trainer extends Session {
  readonly #train: TrainProgram;
  /** Tensors that are saved. Collected once: BAdam has as many programs as layers. */
  readonly #persistent: readonly Tensor[];
  #steps = 0;
  #stepsRead = 0;
  /**
   * Weights that an earlier run has trained and this one freezes, as they were trained: no file of the model has them.
   */
  #trainedBeforeFreeze: ReadonlyMap<LayoutEntry, Words> = new Map();

  private constructor(executor: Executor, model: Model, programs: Pick<Programs, "train" | "hooks">) {
    super(executor, model);
    this.#train = programs.train;
    this.#persistent = persistentTensors(programs);
  }

  /** Opens a session for all programs of a run. @throws as `openExecutor`. */
  static async create(
    gpu: Gpu,
    model: Model,
    programs: Pick<Programs, "train"> & Partial<Programs>,
    plan: MemoryPlan,
    options: SessionOptions = {},
  ): Promise<Trainer> {
    const { train, evaluate, generate } = programs;
    const prepared = [train, evaluate, generate].filter((program) => program !== undefined);
    return new Trainer(await openExecutor(gpu, model, prepared, plan, options), model, programs);
  }

  /** Optimizer steps submitted so far. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Reads everything that training has changed: with it, restore() goes on as if nothing had happened, bit by bit.
   * CPU-GPU sync points.
   */
  async save(position: StreamPosition | null = null): Promise<TrainingState> {
    const tensors = new Map([...this.#trainedBeforeFreeze].map(([{ name }, words]) => [name, words]));
    const words = await this.executor.readAllWords(this.#persistent);
    this.#persistent.forEach(({ label }, i) => tensors.set(label, words[i]!));
    const switching = this.#train.optimizer.save();
    return { step: this.#steps, position, switching, layout: this.layout, tensors };
  }

  /**
   * Takes up the result of save(), in a trainer that has made no step. With a remapping only the weights are taken, and
   * the optimizer begins as at step 0. Weights that are frozen now are rounded to the format of this run, but saved
   * again as they were trained.
   * @throws RangeError if a tensor is not as large as here, or one is missing.
   */
  restore({ step, switching, layout, tensors }: TrainingState, remapping?: Remapping): void {
    const places = new Map(
      [...this.#persistent, ...this.model.parameters.map(({ value }) => value)].map((value) => [value.label, value]),
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
    const isFrozen = ({ role }: LayoutEntry): boolean => role === "frozen";
    const frozen = new Set(remapping?.frozen ?? layout.filter(isFrozen).map(({ name }) => name));
    this.#trainedBeforeFreeze = new Map(
      layout.filter(({ name }) => frozen.has(name))
        .map((entry) => [{ ...entry, role: "frozen" }, tensors.get(entry.name)!]),
    );
    for (const [entry, words] of this.#trainedBeforeFreeze) this.#writeFrozen(places.get(entry.name)!, entry, words);
    this.#steps = this.#stepsRead = step;
    if (remapping) this.#train.optimizer.beginAt(step);
    else this.#train.optimizer.restore(switching);
  }

  /** Writes numbers that were trained in another format, if need be. */
  #writeFrozen(tensor: Tensor, { type }: LayoutEntry, words: Words): void {
    const isSame = type === tensor.type || type === "u32";
    this.executor.write(tensor, isSame ? words : unpack(type, words, size(tensor)));
  }

  /** The tensors that a checkpoint of this run holds. */
  get layout(): LayoutEntry[] {
    return [...layoutOf(this.#persistent), ...this.#trainedBeforeFreeze.keys()];
  }

  /** Clears all moments at the next step: after a change of the weights that makes them meaningless. */
  restartMoments(): void {
    this.#train.optimizer.restartAt(this.#steps);
  }

  /** Reports a validation loss, which may lengthen `update_gap` (AdaFRUGAL). */
  evaluated(loss: number): void {
    this.#train.optimizer.evaluated(loss);
  }

  /** Submits one optimizer step over its micro-batches. Does not wait for the GPU. */
  step(batches: readonly ModelBatch[], learning_rate: number): void {
    const train = this.#train;
    const { stepKind, inputs } = train.optimizer.at(this.#steps);
    const values: InputValues = new Map(inputs);
    train.batches.forEach((tensors, i) =>
      this.writer.add(values, tensors, train.objective, batches[i]!, this.#steps, i)
    );
    const count = batches.reduce((sum, batch) => sum + train.objective.count(batch), 0);
    const metrics_row = this.#steps % train.metrics.shape[0]!;
    values.set(train.schedule, packSchedule({ learning_rate, loss_scale: 1 / Math.max(1, count), metrics_row }));
    this.executor.writeInputs(values);
    this.executor.run(train.programs.get(stepKind)!);
    this.#steps++;
  }

  /** Metrics of the steps since the last call, at most as many as the ring holds. A CPU-GPU sync point. */
  async readMetrics(): Promise<StepMetrics[]> {
    const { metrics } = this.#train;
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

  /** Replays the last batch step by step after a loss that is not finite, and names the first tensor that went bad. */
  async diagnose(): Promise<string> {
    const [program] = this.#train.programs.values();
    const found = await this.executor.firstNonFinite(program!);
    return found
      ? `first bad tensor: ${found.tensor.label} (${found.kernel})`
      : "no single tensor is bad when the step is replayed";
  }
}
