import { IGNORED } from "./ignored.ts";
import type { Example } from "./examples/example.ts";
import type { ClassExample } from "./examples/classification.ts";

/** Sequences of equal length, row after row: what a model's forward pass reads. */
export interface ModelBatch {
  /** (B, T) */
  readonly input_ids: Uint32Array<ArrayBuffer>;
  /**
   * (B, T, 2) start and end (exclusive) of the document around each position, in its row: attention stays between them.
   * Absent: rows are whole.
   */
  readonly documents?: Uint32Array<ArrayBuffer>;
  /** (B, T) place of each position in its document. Absent: in its row. */
  readonly position_ids?: Uint32Array<ArrayBuffer>;
  /** (B, T) the text of a pair that each token belongs to. Absent: all belong to the first. */
  readonly token_type_ids?: Uint32Array<ArrayBuffer>;
}

/** Sequences with their labels. */
export interface Batch extends ModelBatch {
  /** (B, T) the token that follows each position, or IGNORED; for classification the class of each row: (B). */
  readonly labels: Uint32Array<ArrayBuffer>;
}

/** Size and padding of a batch. */
export interface BatchShape {
  /** B */
  readonly batch: number;
  /** T */
  readonly length: number;
  /** Token that fills the rest of a row, which is a document of its own with IGNORED labels. */
  readonly pad_token_id: number;
}

/** The examples in one row of a batch: one, or several that were packed together. */
export type Sequence<E> = readonly E[];

/**
 * A batch of a language model. Rows beyond the sequences are padding.
 * @throws RangeError if there are more sequences than rows, or a sequence is longer than a row.
 */
export function sequenceBatch(sequences: readonly Sequence<Example>[], shape: BatchShape): Batch {
  const labels = new Uint32Array(shape.batch * shape.length).fill(IGNORED);
  return { ...layOut(sequences, shape, (example, start) => labels.set(example.labels, start)), labels };
}

/**
 * A batch of texts with their classes, one a row: labels (B), IGNORED for rows that are padding.
 * @throws RangeError if there are more texts than rows, a text is longer than a row, or two share one.
 */
export function classificationBatch(sequences: readonly Sequence<ClassExample>[], shape: BatchShape): Batch {
  if (sequences.some(({ length }) => length > 1)) {
    throw new RangeError(
      "Cannot make a batch: expected one text a row for classification, got several. Set packing to false",
    );
  }
  const labels = Uint32Array.from({ length: shape.batch }, (_, row) => sequences[row]?.[0]?.label ?? IGNORED);
  if (!sequences.some(([example]) => example?.token_type_ids)) return { ...layOut(sequences, shape, () => {}), labels };
  const token_type_ids = new Uint32Array(shape.batch * shape.length);
  return {
    ...layOut(sequences, shape, (example, start) => token_type_ids.set(example.token_type_ids ?? [], start)),
    labels,
    token_type_ids,
  };
}

/** All of a batch but the labels; `place` is called with the start of each example. */
function layOut<E extends { readonly input_ids: Uint32Array }>(
  sequences: readonly Sequence<E>[],
  { batch, length, pad_token_id }: BatchShape,
  place: (example: E, start: number) => void,
): Required<Pick<Batch, "input_ids" | "documents" | "position_ids">> {
  if (sequences.length > batch) {
    throw new RangeError(
      `Cannot make a batch: expected at most ${batch} sequences, got ${sequences.length}. Pass fewer`,
    );
  }
  const input_ids = new Uint32Array(batch * length).fill(pad_token_id), position_ids = new Uint32Array(batch * length);
  const documents = new Uint32Array(batch * length * 2);
  for (let row = 0; row < batch; row++) {
    let start = 0;
    const close = (end: number): void => {
      if (end > length) {
        throw new RangeError(
          `Cannot make a batch: expected sequences of at most ${length} positions, got ${end}. Use a larger max_length`,
        );
      }
      for (let at = start; at < end; at++) {
        const position = row * length + at;
        position_ids[position] = at - start;
        documents[2 * position] = start;
        documents[2 * position + 1] = end;
      }
      start = end;
    };
    for (const example of sequences[row] ?? []) {
      const first = start;
      close(start + example.input_ids.length);
      input_ids.set(example.input_ids, row * length + first);
      place(example, row * length + first);
    }
    close(length);
  }
  return { input_ids, documents, position_ids };
}
