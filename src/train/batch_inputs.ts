import type { ModelBatch } from "../data/batch.ts";
import { type EmbeddingSegments, embeddingSegments } from "../data/text.ts";
import type { Embeddings, Model } from "../models/architecture.ts";
import type { DropoutSource, ForwardInputs, Indices } from "../models/forward_inputs.ts";
import type { Data } from "../plan/pieces.ts";
import { size, type Tensor, tensor } from "../plan/tensor.ts";
import type { Objective, ObjectiveTensors, SequenceShape } from "./objective.ts";

type Words = Uint32Array<ArrayBuffer>;

/** The numbers to be written to input tensors before a program runs. */
export type InputValues = Map<Tensor, Data>;

/** Input tensors of a forward pass over B sequences of T tokens. All u32. */
export interface SequenceInputs
  extends Pick<ForwardInputs, "tokens" | "positions" | "token_types" | "documents" | "dropout">, SequenceShape {}

/** Input tensors of a batch that an objective makes losses of. */
export interface BatchInputs extends SequenceInputs {
  /** The tensors that the objective reads. */
  readonly objective: ObjectiveTensors;
}

export interface InputOptions extends SequenceShape {
  /** True if sequences hold several documents, or padding that must not be seen. */
  readonly packed: boolean;
  /** True for a training step: with gradients and dropout. */
  readonly training: boolean;
  /** Seed of dropout; without one nothing is dropped. */
  readonly seed?: number | undefined;
}

/** Input tensors for a model's forward pass, whose names begin with `label`. */
export function sequenceInputs(
  label: string,
  { architecture, embeddings }: Model,
  { B, T, packed, training, seed }: InputOptions,
): SequenceInputs {
  const N = B * T;
  const input = (name: string, ...shape: number[]): Tensor => tensor(`${label} ${name}`, shape, "input", "u32");
  const indices = (name: string, table: keyof Embeddings): Indices => {
    const ids = input(name, N);
    if (!training || !embeddings[table]!.needsGradient) return { ids };
    return {
      ids,
      segments: {
        order: input(`${name} order`, N),
        segment_ids: input(`${name} segment_ids`, N),
        segment_offsets: input(`${name} segment_offsets`, N + 1),
      },
    };
  };
  const dropout: DropoutSource | undefined = training && seed !== undefined
    ? { seed, mask_counter: input("dropout", 2) }
    : undefined;
  return {
    B,
    T,
    tokens: indices("input_ids", "tokens"),
    ...(embeddings.positions && { positions: indices("position_ids", "positions") }),
    ...(embeddings.token_types && { token_types: indices("token_type_ids", "token_types") }),
    ...((packed || architecture.bidirectional) && { documents: input("documents", N, 2) }),
    ...(dropout && { dropout }),
  };
}

/** Input tensors for a model's forward pass and for its losses. */
export const batchInputs = <B extends ModelBatch>(
  label: string,
  model: Model,
  objective: Pick<Objective<B>, "inputs">,
  options: InputOptions,
): BatchInputs => ({ ...sequenceInputs(label, model, options), objective: objective.inputs(label, options) });

/** Puts batches into input tensors. Sorting a batch's tokens takes scratch memory, which is kept from step to step. */
export class BatchWriter {
  readonly #model: Model;
  readonly #segments = new Map<Tensor, EmbeddingSegments>();
  /** The same numbers in every step, for batches without documents or positions. */
  readonly #constants = new Map<Tensor, Words>();

  /** Makes the input tensors of a batch for a model. */
  constructor(model: Model) {
    this.#model = model;
  }

  /** Adds a whole batch. `step` and `microBatch` decide what dropout drops. */
  add<B extends ModelBatch>(
    values: InputValues,
    tensors: BatchInputs,
    objective: Pick<Objective<B>, "write">,
    batch: B,
    step = 0,
    microBatch = 0,
  ): void {
    this.addSequences(values, tensors, batch, step, microBatch);
    for (const [name, data] of Object.entries(objective.write(batch))) values.set(tensors.objective[name]!, data);
  }

  /** Adds the inputs of a forward pass alone. */
  addSequences(values: InputValues, tensors: SequenceInputs, batch: ModelBatch, step = 0, microBatch = 0): void {
    const { T, tokens, positions, token_types, documents, dropout } = tensors;
    this.#addIndices(values, tokens, batch.input_ids);
    if (positions) {
      const { architecture, config } = this.#model, offset = architecture.positionOffset?.(config) ?? 0;
      const places = batch.position_ids?.map((place) => place + offset);
      this.#addIndices(values, positions, places ?? this.#constant(positions.ids, (i) => (i % T) + offset));
    }
    if (token_types) {
      this.#addIndices(values, token_types, batch.token_type_ids ?? this.#constant(token_types.ids, () => 0));
    }
    if (documents) values.set(documents, batch.documents ?? this.#constant(documents, (i) => (i % 2) * T));
    if (dropout) values.set(dropout.mask_counter, Uint32Array.of(step, microBatch));
  }

  #addIndices(values: InputValues, { ids, segments }: Indices, rows: Words): void {
    values.set(ids, rows);
    if (!segments) return;
    const sorted = embeddingSegments(rows, this.#segments.get(ids));
    this.#segments.set(ids, sorted);
    values.set(segments.order, sorted.order);
    values.set(segments.segment_ids, sorted.segment_ids);
    values.set(segments.segment_offsets, sorted.segment_offsets);
  }

  #constant(tensor: Tensor, value: (index: number) => number): Words {
    let words = this.#constants.get(tensor);
    if (!words) {
      words = Uint32Array.from({ length: size(tensor) }, (_, i) => value(i));
      this.#constants.set(tensor, words);
    }
    return words;
  }
}
