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
  /** Dropout of the probabilities, in training. */
  readonly dropout?: Dropout | undefined;
}

export const windowOf = (
  { causal = true, documents }: Pick<AttentionSize, "causal" | "documents">,
): AttentionWindow => ({ causal, documents: documents !== undefined });

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
