import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import type { AttentionWindow } from "./attention_window.ts";
import type { Dropout } from "./dropout.ts";

/** The sizes of an attention. */
export interface AttentionSize {
  /** Sequences in a batch. */
  readonly B: number;
  /** Tokens in a sequence. */
  readonly T: number;
  /** Query heads. */
  readonly H: number;
  /** Key/value heads; divides H (grouped-query attention, Ainslie et al., 2023). */
  readonly KV: number;
  /** Width of a head. */
  readonly D: number;
  /** True, the default, if a position sees none after it. */
  readonly causal?: boolean;
  /**
   * (B*T, 2) u32: start and end of the document around each position within its sequence, 0 <= start <= t < end <= T. A
   * document's positions all have the same, and none sees another document's. For texts packed into one sequence;
   * padding, on either side, is a document that nobody reads. Default: each sequence is one.
   */
  readonly documents?: Tensor;
  /**
   * Positions that a position sees, its own among them (sliding-window attention, Beltagy et al., 2020; Mistral).
   * Causal only. Default: all.
   */
  readonly window?: number | undefined;
  /** Dropout of the probabilities, in training. */
  readonly dropout?: Dropout | undefined;
}

/** The window of an attention. One that is as long as the sequence is none. */
export const windowOf = ({ T, causal = true, documents, window = T }: AttentionSize): AttentionWindow => ({
  causal,
  documents: documents !== undefined,
  sliding: window < T,
});

/** @throws RangeError if a window has no positions, or not only those of the past. */
export function checkWindow({ causal = true, window }: AttentionSize): void {
  if (window === undefined || (causal && Number.isInteger(window) && window > 0)) return;
  throw new RangeError(
    `Cannot record attention() with a window of ${window}${causal ? "" : " in both directions"}: expected a whole ` +
      "number above 0, and causal attention. Leave it out to see all",
  );
}

/** @throws Error if `documents` has another shape or type than attention reads. */
export function checkDocuments({ B, T, documents }: AttentionSize): void {
  if (!documents) return;
  const { label, shape, type } = documents, expected = [B * T, 2];
  if (type === "u32" && shape.join() === expected.join()) return;
  throw new Error(
    `Cannot record attention(): documents ("${label}") must be u32 (${
      expected.join(", ")
    }) for B ${B}, T ${T}, got ${type} (${shape.join(", ")}). Give each position its document's start and end`,
  );
}

/** Allocates dq, dk or dv. The kernels overwrite, so q, k and v may have no other consumer: rope leaves them none. */
export function newGradient(r: Recorder, variable: Variable): Tensor | undefined {
  const target = r.gradientFor(variable);
  if (target?.accumulate) {
    throw new Error(
      `Cannot record the backward pass of attention(): ${variable.value.label} already has a gradient. Give it no ` +
        "other use",
    );
  }
  return target?.tensor;
}
