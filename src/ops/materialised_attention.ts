import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type AttentionSize, checkDocuments, newGradient, windowOf } from "./attention_operands.ts";
import { windowConstants } from "./attention_window.ts";
import { dropout } from "./dropout.ts";
import { maskedSoftmax, maskedSoftmaxBackward } from "./softmax.ts";
import { vectorsOf } from "./vector.ts";
import scoresCode from "../../shaders/attention_scores.wgsl" with { type: "text" };
import valuesCode from "../../shaders/attention_values.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };

/** Positions that a thread holds, each way. */
const BLOCK = 4;

/** The vectors of a head of D numbers; a thread of attention_values holds `RUN` of them. */
function headConstants(D: number): Constants & { readonly CHUNKS: number; readonly RUN: number } {
  const { constants, width } = vectorsOf(D), CHUNKS = D / width;
  return { ...constants, CHUNKS, RUN: [4, 2, 1].find((run) => CHUNKS % run === 0)! };
}

/** The kernel of all scores. */
const scoresKernel = defineKernel({
  name: "attention_scores",
  code: scoresCode,
  libraries: [threadCode, vectorCode, windowCode],
  reads: { x: "numbers", y: "numbers", documents: "array<vec2u>?" },
  writes: { out: "array<f32>" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32", window: "u32", scale: "f32" },
  constants: { WORKGROUP: 32 },
  groups: perThread,
});

const valuesKernel = defineKernel({
  name: "attention_values",
  code: valuesCode,
  libraries: [threadCode, windowCode],
  reads: { p: "array<f32>", x: "numbers", documents: "array<vec2u>?" },
  writes: { out: "numbers" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32", window: "u32" },
  constants: { WORKGROUP: 32, TRANSPOSE: false },
  groups: perThread,
});

/** to[t, j] = factor * x[t].y[j] for the keys j of t; blocks of 4 by 4 without a key are not written. */
function scores(r: Recorder, size: AttentionSize, x: Tensor, y: Tensor, to: Tensor, factor: number): void {
  const { B, T, H, KV, D, documents, window = T } = size, n = B * H * ceilDiv(T, BLOCK) ** 2;
  const kernel = scoresKernel.with({ ...windowConstants(windowOf(size)), ...headConstants(D) });
  r.run(kernel, { x, y, out: to, documents }, { n, T, H, KV, window, scale: factor });
}

/** to[t] = sum of p[t, j] x[j]; if transposed, to[j] = sum of p[t, j] x[t]. */
function values(r: Recorder, size: AttentionSize, p: Tensor, x: Tensor, to: Tensor, TRANSPOSE: boolean): void {
  const { B, T, H, KV, D, documents, window = T } = size, head = headConstants(D);
  const kernel = valuesKernel.with({
    ...windowConstants(windowOf(size)),
    ...head,
    TRANSPOSE,
  });
  const n = (B * (TRANSPOSE ? KV : H) * ceilDiv(T, BLOCK) * head.CHUNKS) / head.RUN;
  r.run(kernel, { p, x, out: to, documents }, { n, T, H, KV, window });
}

/** softmax(q kᵀ / √D) over the keys that each position sees, 0 elsewhere: (B, H, T, T). */
function probabilities(r: Recorder, q: Variable, k: Variable, size: AttentionSize): Variable {
  const { B, T, H, D } = size, scale = 1 / Math.sqrt(D);
  const p = {
    value: r.tensor("attention.probabilities", [B, H, T, T]),
    needsGradient: q.needsGradient || k.needsGradient,
  };
  scores(r, size, q.value, k.value, p.value, scale);
  maskedSoftmax(r, p.value, size);
  r.onBackward(p, [q, k], (ds) => {
    maskedSoftmaxBackward(r, p.value, ds, scale, size);
    const dq = newGradient(r, q);
    if (dq) values(r, size, ds, k.value, dq, false);
    const dk = newGradient(r, k);
    if (dk) values(r, size, ds, q.value, dk, true);
  });
  return p;
}

/**
 * attention() with all probabilities in memory, (B, H, T, T): plain products instead of one long loop. They are kept
 * for the backward pass; dropout keeps them twice, as they are and with some dropped, the others divided by 1 - p (as
 * in Vaswani et al., 2017).
 */
export function materialisedAttention(
  r: Recorder,
  q: Variable,
  k: Variable,
  v: Variable,
  size: AttentionSize,
): Variable {
  checkDocuments(size);
  const { B, T, H, D } = size, all = probabilities(r, q, k, size);
  const p = size.dropout ? dropout(r, all, size.dropout) : all;
  const out = { value: r.activation("attention", [B * T, H * D]), needsGradient: p.needsGradient || v.needsGradient };
  values(r, size, p.value, v.value, out.value, false);
  r.onBackward(out, [p, v], (dout) => {
    const dv = newGradient(r, v);
    if (dv) values(r, size, p.value, dout, dv, true);
    if (!p.needsGradient) return;
    // Places without a key are not written, and are read by nothing but dropout, which takes each number for itself.
    const dp = r.tensor("attention.d(probabilities)", p.value.shape, "scratch");
    scores(r, size, dout, v.value, dp, 1);
    r.setGradient(p, dp);
  });
  return out;
}
