import { purposeKey } from "../random/philox.ts";
import { type Dropout, dropout } from "../ops/dropout.ts";
import type { Segments } from "../ops/embedding.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";

/** Which row of an embedding each position takes, and the positions sorted by row, for an embedding that is trained. */
export interface Indices {
  /** (B*T) u32. */
  readonly ids: Tensor;
  readonly segments?: Segments;
}

/** Where the masks of a run come from. */
export interface DropoutSource {
  readonly seed: number;
  /** u32, an input: the step and the micro-batch. */
  readonly clock: Tensor;
}

/** What one forward pass reads. A model takes of it what it needs (`needsOf`). */
export interface ForwardInputs {
  readonly tokens: Indices;
  /** Of learned position embeddings. */
  readonly positions?: Indices;
  /** Which of a pair of texts a token belongs to. */
  readonly token_types?: Indices;
  /** (B*T, 2) u32: start and end of the document around each position. Without it each sequence is one. */
  readonly documents?: Tensor;
  /** (T, 2, D/2) cosines and sines, of models with RoPE. */
  readonly rope_table?: Tensor;
  /** Sequences, and tokens in each. */
  readonly B: number;
  readonly T: number;
  /** Keep only each layer's input for the backward pass and compute the rest again. */
  readonly gradient_checkpointing?: boolean;
  readonly dropout?: DropoutSource;
}

/** How a share p of the numbers of a place is dropped, where dropout is wanted. `place` keys the mask. */
export function dropoutOf(source: DropoutSource | undefined, p: number, place: string): Dropout | undefined {
  return source && p !== 0 ? { p, key: purposeKey(source.seed, `dropout ${place}`), clock: source.clock } : undefined;
}

/** x with a share p of its numbers dropped, where dropout is wanted. `place` keys the mask. */
export function dropped(
  r: Recorder,
  x: Variable,
  source: DropoutSource | undefined,
  p: number,
  place: string,
): Variable {
  const wanted = dropoutOf(source, p, place);
  return wanted ? dropout(r, x, wanted) : x;
}
