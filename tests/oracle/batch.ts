import type { Batch } from "../../src/data/batch.ts";
import { IGNORED } from "../../src/data/ignored.ts";

/** batch.json of a fixture. Labels stand beside their own token, or are one class a row. */
export interface RawBatch {
  readonly input_ids: number[][];
  readonly labels: number[][] | number[];
  readonly attention_mask?: number[][];
}

/**
 * A row predicts the next token, where the fixture's labels stand beside their own. Padding behind a text is a document
 * of its own.
 */
export function toBatch({ input_ids, labels, attention_mask }: RawBatch): Batch {
  const ids = Uint32Array.from(input_ids.flat());
  const next = typeof labels[0] === "number"
    ? labels as number[]
    : (labels as number[][]).flatMap((row) => [...row.slice(1), -100]);
  const batch = { input_ids: ids, labels: Uint32Array.from(next, (label) => (label < 0 ? IGNORED : label)) };
  if (!attention_mask) return batch;
  const lengths = attention_mask.map((row) => row.reduce((a, b) => a + b, 0));
  const places = attention_mask.flatMap((row, i) => row.map((_, t) => ({ T: row.length, t, length: lengths[i]! })));
  return {
    ...batch,
    documents: Uint32Array.from(places.flatMap(({ T, t, length }) => (t < length ? [0, length] : [length, T]))),
    position_ids: Uint32Array.from(places, ({ t, length }) => (t < length ? t : t - length)),
  };
}
