import type { Batch } from "../data/batch.ts";
import { type EmbeddingSegments, embeddingSegments } from "../data/text.ts";
import type { DropoutSource, ForwardInputs, Indices } from "../models/inputs.ts";
import { classesOf, embeddingsOf, type Model, needsOf, positionOffset } from "../models/model.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";

type Words = Uint32Array<ArrayBuffer>;

/** Input tensors of one batch of B sequences of T tokens. All u32. */
export interface BatchInputs
  extends Pick<ForwardInputs, "tokens" | "positions" | "token_types" | "documents" | "dropout"> {
  /** (B*T), IGNORED where a token does not count; (B) of a model that classifies. */
  readonly labels: Tensor;
  /** Tokens of a sequence. */
  readonly T: number;
}

export interface InputOptions {
  readonly B: number;
  readonly T: number;
  /** Sequences hold several documents, or padding that must not be seen. */
  readonly packed: boolean;
  /** With gradients and dropout: for a training step. */
  readonly training: boolean;
  /** Of dropout. */
  readonly seed?: number;
}

export function batchInputs(label: string, model: Model, { B, T, packed, training, seed }: InputOptions): BatchInputs {
  const N = B * T, needs = needsOf(model);
  const input = (name: string, ...shape: number[]): Tensor => tensor(`${label} ${name}`, shape, "input", "u32");
  const indices = (name: string, index: number): Indices => {
    const ids = input(name, N);
    if (!training || !embeddingsOf(model)[index]!.needsGradient) return { ids };
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
    ? { seed, clock: input("dropout", 2) }
    : undefined;
  return {
    tokens: indices("input_ids", 0),
    labels: input("labels", classesOf(model) ? B : N),
    T,
    ...(needs.positions && { positions: indices("position_ids", 1) }),
    ...(needs.token_types && { token_types: indices("token_type_ids", 2) }),
    ...((packed || needs.documents) && { documents: input("documents", N, 2) }),
    ...(dropout && { dropout }),
  };
}

/** Input tensors of a batch whose labels nobody reads. */
export type PromptInputs = Omit<BatchInputs, "labels">;

/** Puts batches into input tensors. Sorting a batch's tokens takes scratch memory, which is kept from step to step. */
export class BatchWriter {
  readonly #model: Model;
  readonly #segments = new Map<Tensor, EmbeddingSegments>();
  /** Numbers of a batch that says nothing of documents: the same in every step. */
  readonly #usual = new Map<Tensor, Words>();

  constructor(model: Model) {
    this.#model = model;
  }

  /** Step and micro-batch decide what dropout drops. */
  add(inputs: Map<Tensor, Words>, tensors: BatchInputs, batch: Batch, step = 0, microBatch = 0): void {
    this.addPrompt(inputs, tensors, batch, step, microBatch);
    inputs.set(tensors.labels, batch.labels);
  }

  /** Everything but the labels. */
  addPrompt(
    inputs: Map<Tensor, Words>,
    tensors: PromptInputs,
    batch: Omit<Batch, "labels">,
    step = 0,
    microBatch = 0,
  ): void {
    const { T, tokens, positions, token_types, documents, dropout } = tensors;
    this.#addIndices(inputs, tokens, batch.input_ids);
    if (positions) {
      const offset = positionOffset(this.#model);
      this.#addIndices(
        inputs,
        positions,
        batch.position_ids?.map((place) => place + offset) ?? this.#constant(positions.ids, (i) => (i % T) + offset),
      );
    }
    if (token_types) {
      this.#addIndices(
        inputs,
        token_types,
        batch.token_type_ids ?? this.#constant(token_types.ids, () => 0),
      );
    }
    if (documents) inputs.set(documents, batch.documents ?? this.#constant(documents, (i) => (i % 2) * T));
    if (dropout) inputs.set(dropout.clock, Uint32Array.of(step, microBatch));
  }

  #addIndices(inputs: Map<Tensor, Words>, { ids, segments }: Indices, values: Words): void {
    inputs.set(ids, values);
    if (!segments) return;
    const sorted = embeddingSegments(values, this.#segments.get(ids));
    this.#segments.set(ids, sorted);
    inputs.set(segments.order, sorted.order).set(segments.segment_ids, sorted.segment_ids).set(
      segments.segment_offsets,
      sorted.segment_offsets,
    );
  }

  #constant(tensor: Tensor, value: (index: number) => number): Words {
    if (!this.#usual.has(tensor)) {
      this.#usual.set(
        tensor,
        Uint32Array.from({ length: tensor.shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
      );
    }
    return this.#usual.get(tensor)!;
  }
}
