import type { Recorder } from "../../plan/recorder.ts";
import type { Tensor } from "../../plan/tensor.ts";

/** A program's change of a matrix's subspace: none, the first choice, or a new one that starts from the present one. */
export type Refresh = "none" | "cold" | "warm";

/** Tensors that the parts of an update share. */
export interface SubspaceContext {
  readonly step_inputs: Tensor;
  readonly gradient: Tensor;
}

/**
 * The part of a matrix (m, n) that is state-full, as a map between the matrix and a smaller dense tensor: selected
 * columns, rows, elements, or a projection onto a basis.
 */
export interface Subspace {
  /** Largest shape of the result of `down`. */
  readonly shape: readonly number[];
  /** Elements per selected row or column: step_inputs.count * stride elements are in use. */
  readonly stride: number;
  /** The axis of the matrix that survives whole, for norms along it. */
  readonly axis: "rows" | "columns" | null;
  /** True if step_inputs.count, which may be below its largest in `shape`, limits the elements in use. */
  readonly counted: boolean;
  /** True if all of a gradient is in it: the rest is rounding noise then, which must not be taken for a residual. */
  readonly complete: boolean;
  /** State other than moments. */
  readonly state: readonly Tensor[];
  /** True if changing it takes kernels, not just numbers. */
  readonly refreshes: boolean;
  /** Records the change, if there is one, then prepares `down` and `up`. Call once in each program. */
  prepare(r: Recorder, context: SubspaceContext, refresh: Refresh, moments: readonly Tensor[]): PreparedSubspace;
}

export interface PreparedSubspace {
  /** The gradient's part in the subspace. */
  down(): Tensor;
  /** gradient = x in the full space, or gradient += it. */
  up(x: Tensor, accumulate: boolean): void;
  /** Positions of the selected elements for kernels; undefined for projections. */
  readonly selection?: Tensor;
}
