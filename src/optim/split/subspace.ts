import type { Recorder } from "../../plan/recorder.ts";
import type { Tensor } from "../../plan/tensor.ts";

/** When a program changes a matrix's subspace: not, for the first time, or from the present one on. */
export type Refresh = "none" | "cold" | "warm";

/** What the parts of an update share. */
export interface SubspaceContext {
  readonly clock: Tensor;
  readonly gradient: Tensor;
}

/**
 * The part of a matrix (m, n) that is state-full, as a map between the matrix and a smaller dense tensor: selected
 * columns, rows, elements, or a projection onto a basis.
 */
export interface Subspace {
  /** Shape of what `down` gives, at its largest. */
  readonly shape: readonly number[];
  /** How many of its numbers clock.count counts for one. */
  readonly stride: number;
  /** Which of the matrix's axes survives whole, for norms along it. */
  readonly axis: "rows" | "columns" | null;
  /** Whether only the part that clock.count says of `shape` is in use. */
  readonly counted: boolean;
  /** Whether all of a gradient is in it: then rounding noise is left, which must not be taken for a residual. */
  readonly complete: boolean;
  /** State other than moments. */
  readonly state: readonly Tensor[];
  /** Whether changing it takes kernels, not just numbers. */
  readonly refreshes: boolean;
  /** Records the change, if there is one, then makes ready what `down` and `up` read. Call once in each program. */
  prepare(r: Recorder, context: SubspaceContext, refresh: Refresh, moments: readonly Tensor[]): PreparedSubspace;
}

export interface PreparedSubspace {
  /** The gradient's part in the subspace. */
  down(): Tensor;
  /** gradient = x in the full space, or gradient += it. */
  up(x: Tensor, accumulate: boolean): void;
  /** Of selections only: what a kernel needs to find its elements. */
  readonly selection?: Tensor;
}
