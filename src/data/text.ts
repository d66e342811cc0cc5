import { uniform } from "../random/philox.ts";
import { IGNORED } from "./ignored.ts";
import type { Batch } from "./batch.ts";

export type { Batch } from "./batch.ts";

/** Tokens of a whole text. Two bytes a token if the vocabulary allows. */
export type TokenIds = Uint16Array | Uint32Array;

/**
 * Text of a UTF-8 file: no byte order mark, "\n" for "\r\n", U+FFFD for malformed bytes.
 * @throws RangeError if there is no text in it, TypeError if it is binary (has a NUL byte).
 */
export function normalizeText(bytes: Uint8Array): string {
  if (bytes.length === 0) {
    throw new RangeError("Cannot read the text: expected some text, got an empty file. Choose another file");
  }
  const binary = bytes.indexOf(0);
  if (binary >= 0) {
    throw new TypeError(
      `Cannot read the text: expected UTF-8 text, got binary data (NUL at byte ${binary}). Choose a text file, or ` +
        "save it as UTF-8",
    );
  }
  const text = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
  if (!/\S/.test(text)) {
    throw new RangeError(
      `Cannot read the text: expected some text, got ${bytes.length} bytes of white space. Choose another file`,
    );
  }
  return text;
}

/**
 * Cuts tokens in two views: the end is for validation. Each part gets at least one sequence of `length` and the token
 * after it; beyond that, validation gets `validation_fraction` of the tokens.
 * @throws RangeError if there are too few tokens for that.
 */
export function splitTokens<T extends TokenIds>(
  ids: T,
  validation_fraction: number,
  length: number,
): { train: T; validation: T } {
  if (!(validation_fraction > 0 && validation_fraction < 1)) {
    throw new RangeError(
      `Cannot split the tokens: expected a validation_fraction between 0 and 1, got ${validation_fraction}. Choose ` +
        "one like 0.1",
    );
  }
  const smallest = length + 1;
  if (ids.length < 2 * smallest) {
    throw new RangeError(
      `Cannot split the tokens: expected at least ${
        2 * smallest
      } (${smallest} for training and ${smallest} for validation), ` +
        `got ${ids.length}. Choose a longer file or a smaller max_length`,
    );
  }
  const wanted = Math.floor(ids.length * validation_fraction);
  const cut = ids.length - Math.min(Math.max(wanted, smallest), ids.length - smallest);
  return { train: ids.subarray(0, cut) as T, validation: ids.subarray(cut) as T };
}

/**
 * A batch of sequences from random places. Row b depends on (seed, step, b) alone, so a resumed run sees the same data.
 * @throws RangeError if `ids` has no sequence of `length` and the token after it.
 */
export function sampleBatch(
  ids: TokenIds,
  { seed, step, batch, length }: { seed: number; step: number; batch: number; length: number },
): Batch {
  if (ids.length <= length) {
    throw new RangeError(
      `Cannot sample a batch: expected at least ${length + 1} tokens, got ${ids.length}. ` +
        "Choose a longer file or a smaller max_length",
    );
  }
  const input_ids = new Uint32Array(batch * length), labels = new Uint32Array(batch * length);
  for (let row = 0; row < batch; row++) {
    const start = Math.floor(uniform(seed, "data", step, row) * (ids.length - length));
    input_ids.set(ids.subarray(start, start + length), row * length);
    labels.set(ids.subarray(start + 1, start + 1 + length), row * length);
  }
  return { input_ids, labels };
}

/**
 * The first `limit` batches of the sequences that follow one another in `ids`. Every token but the first is a label
 * once; places left over in the last batch have token 0 and IGNORED.
 * @throws RangeError if there is no token to predict.
 */
export function* validationBatches(
  ids: TokenIds,
  { batch, length, limit }: { batch: number; length: number; limit: number },
): Generator<Batch> {
  if (ids.length < 2) {
    throw new RangeError(`Cannot validate: expected at least 2 tokens, got ${ids.length}. Choose a longer file`);
  }
  const stride = batch * length, targets = ids.length - 1;
  for (let start = 0, count = 0; start < targets && count < limit; start += stride, count++) {
    const end = Math.min(start + stride, targets);
    const input_ids = new Uint32Array(stride), labels = new Uint32Array(stride).fill(IGNORED);
    input_ids.set(ids.subarray(start, end));
    labels.set(ids.subarray(start + 1, end + 1));
    yield { input_ids, labels };
  }
}

/** Filler of `segment_ids` behind the distinct ids. */
const NO_SEGMENT = 0xffff_ffff;

/**
 * The positions of a batch grouped by token, so that the backward pass of an embedding adds up each row's gradient in
 * one place and in one order: without atomics, bitwise reproducible. N positions.
 */
export interface EmbeddingSegments {
  /** (N) positions, by token id, equal ids in their order of appearance. */
  readonly order: Uint32Array<ArrayBuffer>;
  /** (N) distinct ids, ascending, then 0xffffffff. */
  readonly segment_ids: Uint32Array<ArrayBuffer>;
  /** (N + 1) start of each segment in `order`, then N. */
  readonly segment_offsets: Uint32Array<ArrayBuffer>;
  /** (N) scratch of the sort: id * N + position. */
  readonly keys: Float64Array<ArrayBuffer>;
}

/**
 * Groups the positions of `input_ids` by id. The work is O(N log N) whatever the size of the vocabulary. Allocates
 * nothing when given the result of an earlier call as `into`, and returns it.
 * @throws RangeError if `into` was made for another number of positions.
 */
export function embeddingSegments(
  input_ids: Uint32Array,
  into: EmbeddingSegments = allocate(input_ids.length),
): EmbeddingSegments {
  const count = input_ids.length;
  const { order, segment_ids, segment_offsets, keys } = into;
  if (keys.length !== count) {
    throw new RangeError(
      `Cannot group ${count} positions: expected arrays for as many, got arrays for ${keys.length}. ` +
        "Pass no arrays when the batch has a new size",
    );
  }
  // A position is one number, exact below 2^53: sorting numbers needs no comparison function, equal ids keep their
  // order.
  for (let i = 0; i < count; i++) keys[i] = input_ids[i]! * count + i;
  keys.sort();
  let segments = 0;
  for (let i = 0; i < count; i++) {
    const position = keys[i]! % count, id = input_ids[position]!;
    order[i] = position;
    if (segments > 0 && segment_ids[segments - 1] === id) continue;
    segment_ids[segments] = id;
    segment_offsets[segments++] = i;
  }
  segment_ids.fill(NO_SEGMENT, segments);
  segment_offsets.fill(count, segments);
  return into;
}

function allocate(count: number): EmbeddingSegments {
  return {
    order: new Uint32Array(count),
    segment_ids: new Uint32Array(count),
    segment_offsets: new Uint32Array(count + 1),
    keys: new Float64Array(count),
  };
}
