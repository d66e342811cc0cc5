import type { ModelBatch } from "../data/batch.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Model } from "../models/architecture.ts";
import { initialValues, type Parameter } from "../models/parameter.ts";
import { Executor } from "../plan/executor.ts";
import type { MemoryPlan } from "../plan/memory.ts";
import type { ClassificationMetrics } from "./classification_metrics.ts";
import { BatchWriter, type InputValues } from "./batch_inputs.ts";
import type { EvaluateProgram, GenerateProgram, PreparedProgram } from "./programs.ts";

/** The result of an evaluation, with the scores of the built-in objectives. */
export interface Evaluation extends Partial<ClassificationMetrics> {
  /** Mean of the losses that count, in nats. */
  readonly eval_loss: number;
  /** Number of losses that count. */
  readonly labels: number;
}

/** Uploads the weights of files until `signal` aborts; resolves to the parameters that were written. */
export type LoadWeights = (
  executor: Executor,
  model: Model,
  signal?: AbortSignal,
) => Promise<ReadonlySet<Parameter>>;

/** Options of bringing a model onto the GPU. */
export interface SessionOptions {
  /** Seed of initial weights. Without it the caller sets every parameter that `load` does not. */
  readonly seed?: number;
  /** Gives the weights; absent, they are drawn at random. */
  readonly load?: LoadWeights | undefined;
  /** Hears of every compiled kernel. */
  readonly onPipeline?: (done: number, total: number) => void;
}

/** A model on a device: its weights, and the planned programs that use them. */
export class Session {
  /** Runs the programs. */
  readonly executor: Executor;
  /** The model. */
  readonly model: Model;
  /** Writes batches into their tensors. */
  protected readonly writer: BatchWriter;

  /** Subclasses begin with an executor whose weights are written. */
  protected constructor(executor: Executor, model: Model) {
    this.executor = executor;
    this.model = model;
    this.writer = new BatchWriter(model);
  }

  /** Opens a session for programs that are planned together. @throws as `openExecutor`. */
  static async open(
    gpu: Gpu,
    model: Model,
    programs: readonly PreparedProgram[],
    plan: MemoryPlan,
    options?: SessionOptions,
  ): Promise<Session> {
    return new Session(await openExecutor(gpu, model, programs, plan, options), model);
  }

  /** Overwrites a parameter by its Hugging Face name. */
  setParameter(name: string, values: Float32Array<ArrayBuffer>): void {
    const found = this.model.parameters.find(({ value }) => value.label === name);
    if (!found) throw new RangeError(`Cannot set parameter "${name}": the model has no such parameter`);
    this.executor.write(found.value, values);
  }

  /**
   * Mean loss over all that counts in the batches, and the objective's scores by name. A CPU-GPU sync point for each
   * batch.
   */
  async evaluate<B extends ModelBatch>(
    program: EvaluateProgram<B>,
    batches: AsyncIterable<B> | Iterable<B>,
  ): Promise<Evaluation & Readonly<Record<string, number>>> {
    const { objective, outputs } = program, scores = objective.scores?.(this.model);
    let sum = 0, count = 0;
    for await (const batch of batches) {
      const values: InputValues = new Map();
      this.writer.add(values, program.batch, objective, batch);
      this.executor.writeInputs(values);
      this.executor.run(program);
      for (const loss of await this.executor.read(program.loss)) sum += loss;
      count += objective.count(batch);
      if (!scores) continue;
      const read: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(outputs)) read[name] = await this.executor.read(tensor);
      scores.add(batch, read);
    }
    return { eval_loss: sum / count, labels: count, ...scores?.result() };
  }

  /** Logits of the token after `ids`: (V). `ids` may hold at most T tokens. A CPU-GPU sync point. */
  async nextLogits(program: GenerateProgram, ids: ArrayLike<number>): Promise<Float32Array<ArrayBuffer>> {
    const input_ids = new Uint32Array(program.batch.T), values: InputValues = new Map();
    input_ids.set(ids);
    this.writer.addSequences(values, program.batch, { input_ids });
    this.executor.writeInputs(values.set(program.position, Uint32Array.of(ids.length - 1)));
    this.executor.run(program);
    return await this.executor.read(program.logits);
  }

  /** Frees everything that the session holds on the device. */
  destroy(): void {
    this.executor.destroy();
  }
}

/**
 * Allocates, compiles, and uploads constants, the weights of files, and the initial ones of a seed for all others.
 * @throws DeviceLostError, OutOfMemoryError, or whatever `load` throws; nothing is left allocated.
 */
export async function openExecutor(
  gpu: Gpu,
  model: Model,
  programs: readonly PreparedProgram[],
  plan: MemoryPlan,
  { seed, load, onPipeline }: SessionOptions = {},
): Promise<Executor> {
  const executor = await Executor.create(gpu, plan, onPipeline);
  try {
    const constants = new Map(programs.flatMap((program) => [...program.constants]));
    for (const [tensor, values] of constants) executor.write(tensor, values());
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
  return executor;
}
