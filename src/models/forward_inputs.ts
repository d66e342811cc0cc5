import { purposeKey } from "../random/philox.ts";
import { type Dropout, dropout } from "../ops/dropout.ts";
import type { Segments } from "../ops/embedding.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";

/** The row of an embedding for each position, and the positions sorted by row where the embedding is trained. */
export interface Indices {
  /** (B*T) u32. */
  readonly ids: Tensor;
  /** The segment of each token, in models that have segments. */
  readonly segments?: Segments;
}

/** Key and counter of the dropout masks of a run. */
export interface DropoutSource {
  /** The start of all random numbers. */
  readonly seed: number;
  /** u32, an input: the step and the micro-batch. */
  readonly mask_counter: Tensor;
}

/** The inputs of one forward pass. A model reads those that it has embeddings or tables for. */
export interface ForwardInputs {
  /** Token ids, (B, T). */
  readonly tokens: Indices;
  /** Rows of learned position embeddings. */
  readonly positions?: Indices;
  /** The text of a pair that each token belongs to. */
  readonly token_types?: Indices;
  /** (B*T, 2) u32: start and end of the document around each position. Without it each sequence is one. */
  readonly documents?: Tensor;
  /** Constant tables of the architecture by name, e.g. RoPE's (T, 2, D/2) cosines and sines. */
  readonly tables?: Readonly<Record<string, Tensor>>;
  /** Number of sequences, and of tokens in each. */
  readonly B: number;
  /** Tokens in a sequence. */
  readonly T: number;
  /** Keep only each layer's input for the backward pass and compute the rest again. */
  readonly gradient_checkpointing?: boolean;
  /** The origin of dropout's masks; absent, nothing is dropped. */
  readonly dropout?: DropoutSource;
}

/** The dropout of a share p of the elements of a tensor; undefined where nothing is dropped. `place` keys the mask. */
export function dropoutOf(source: DropoutSource | undefined, p: number, place: string): Dropout | undefined {
  return source && p !== 0
    ? { p, key: purposeKey(source.seed, `dropout ${place}`), mask_counter: source.mask_counter }
    : undefined;
}

/** Drops a share p of the elements of x where dropout is wanted. `place` keys the mask. */
export function applyDropout(
  r: Recorder,
  x: Variable,
  source: DropoutSource | undefined,
  p: number,
  place: string,
): Variable {
  const wanted = dropoutOf(source, p, place);
  return wanted ? dropout(r, x, wanted) : x;
}
