import { type Access, ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type AttentionSize, checkDocuments, newGradient, windowOf } from "./attention_operands.ts";
import { type AttentionWindow, PAST, windowConstants } from "./attention_window.ts";
import { dropout } from "./dropout.ts";
import { fused } from "./flash_attention_text.ts";
import { maskedSoftmax, maskedSoftmaxBackward } from "./softmax.ts";
import { range, repeatLines } from "./codegen.ts";
import scoresCode from "../../shaders/attention_scores.wgsl" with { type: "text" };
import valuesCode from "../../shaders/attention_values.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };

/** Positions that a thread holds, each way. */
const BLOCK = 4;

/** The vectors of a head of D numbers; a thread of attention_values holds `run` of them. */
function headShape(D: number): { readonly vector: "vec4f" | "f32"; readonly chunks: number; readonly run: number } {
  const vector = D % 4 === 0 ? "vec4f" : "f32";
  const chunks = vector === "vec4f" ? D / 4 : D;
  return { vector, chunks, run: [4, 2, 1].find((run) => chunks % run === 0)! };
}

function scoresText(D: number, window: AttentionWindow): Constants {
  const { vector, chunks } = headShape(D);
  const all = (line: (i: number, j: number) => string): string =>
    repeatLines(BLOCK, (i) => range(BLOCK).map((j) => line(i, j)).join("\n"));
  return {
    ...windowConstants(window, "keys"),
    VECTOR: vector,
    CHUNKS: chunks,
    ROW_STARTS: repeatLines(
      BLOCK,
      (i) =>
        `  let x${i} = ((b * params.T + min(t + ${i}u, last)) * params.H + h) * ${chunks}u;
  let y${i} = ((b * params.T + min(j + ${i}u, last)) * params.KV + h / (params.H / params.KV)) * ${chunks}u;`,
    ),
    CLEAR_SUMS: all((i, j) => `  var sum${i}_${j} = ${vector}();`),
    MULTIPLY: [
      repeatLines(BLOCK, (i) => `    let row${i} = x[x${i} + c];\n    let key${i} = y[y${i} + c];`),
      all((i, j) => `    sum${i}_${j} = fma(row${i}, key${j}, sum${i}_${j});`),
    ].join("\n"),
    STORE_SUMS: all((i, j) =>
      `  if (t + ${i}u < params.T && j + ${j}u < params.T) {
    out[(head * params.T + t + ${i}u) * params.T + j + ${j}u] = params.scale * ${
        vector === "f32" ? `sum${i}_${j}` : `dot(sum${i}_${j}, vec4f(1.0))`
      };
  }`
    ),
  };
}

function valuesText(D: number, window: AttentionWindow, TRANSPOSE: boolean): Constants {
  const { vector, chunks, run } = headShape(D);
  const place = (
    r: number,
  ): string => (TRANSPOSE
    ? `p_start + i * params.T + min(first + ${r}u, last)`
    : `p_start + min(first + ${r}u, last) * params.T + i`);
  return {
    ...windowConstants(window, TRANSPOSE ? "queries" : "keys"),
    VECTOR: vector,
    CHUNKS: chunks,
    RUN: run,
    TRANSPOSE,
    CLEAR_SUMS: repeatLines(BLOCK, (r) => range(run).map((c) => `  var sum${r}_${c} = ${vector}();`).join("\n")),
    MULTIPLY: [
      repeatLines(BLOCK, (r) => `    let p${r} = p[${place(r)}];`),
      repeatLines(run, (c) => `    let x${c} = x[source + ${c}u];`),
      repeatLines(
        BLOCK,
        (r) => range(run).map((c) => `    ${fused({ vector }, `p${r}`, `x${c}`, `sum${r}_${c}`)}`).join("\n"),
      ),
    ].join("\n"),
    STORE_SUMS: repeatLines(BLOCK, (r) =>
      `  if (first + ${r}u < params.T) {
    let to = ((b * params.T + first + ${r}u) * heads + h) * ${chunks}u + c;
${repeatLines(run, (c) => `    out[to + ${c}u] = sum${r}_${c};`)}
  }`),
  };
}

const documentsPast: AttentionWindow = { ...PAST, documents: true };

/** The kernel of all scores. `window` must have documents if and only if the bindings have. */
const scoresKernel = <const B extends Readonly<Record<string, Access>>>(bindings: B, window: AttentionWindow) =>
  defineKernel({
    name: "attention_scores",
    code: scoresCode,
    libraries: [threadCode, windowCode],
    bindings,
    params: { n: "u32", T: "u32", H: "u32", KV: "u32", scale: "f32" },
    constants: { WORKGROUP: 32, ...scoresText(16, window) },
    groups: perThread,
  });
const scoresBindings = { x: "read", y: "read", out: "read_write" } as const;
const sequenceScoresKernel = scoresKernel(scoresBindings, PAST);
const documentsScoresKernel = scoresKernel({ ...scoresBindings, documents: "read" }, documentsPast);

const valuesKernel = <const B extends Readonly<Record<string, Access>>>(bindings: B, window: AttentionWindow) =>
  defineKernel({
    name: "attention_values",
    code: valuesCode,
    libraries: [threadCode, windowCode],
    bindings,
    params: { n: "u32", T: "u32", H: "u32", KV: "u32" },
    constants: { WORKGROUP: 32, ...valuesText(16, window, false) },
    groups: perThread,
  });
const valuesBindings = { p: "read", x: "read", out: "read_write" } as const;
const sequenceValuesKernel = valuesKernel(valuesBindings, PAST);
const documentsValuesKernel = valuesKernel({ ...valuesBindings, documents: "read" }, documentsPast);

/** to[t, j] = factor * x[t].y[j] for the keys j of t; blocks of 4 by 4 without a key are not written. */
function scores(
  r: Recorder,
  { B, T, H, KV, D, ...of }: AttentionSize,
  x: Tensor,
  y: Tensor,
  to: Tensor,
  factor: number,
): void {
  const { documents } = of, text = scoresText(D, windowOf(of)), blocks = ceilDiv(T, BLOCK);
  const operands = { x, y, out: to }, params = { n: B * H * blocks * blocks, T, H, KV, scale: factor };
  if (documents) r.run(documentsScoresKernel.with(text), { ...operands, documents }, params);
  else r.run(sequenceScoresKernel.with(text), operands, params);
}

/** to[t] = sum of p[t, j] x[j]; if transposed, to[j] = sum of p[t, j] x[t]. */
function values(
  r: Recorder,
  { B, T, H, KV, D, ...of }: AttentionSize,
  p: Tensor,
  x: Tensor,
  to: Tensor,
  transpose: boolean,
): void {
  const { documents } = of, { chunks, run } = headShape(D), text = valuesText(D, windowOf(of), transpose);
  const operands = { p, x, out: to },
    params = { n: (B * (transpose ? KV : H) * ceilDiv(T, BLOCK) * chunks) / run, T, H, KV };
  if (documents) r.run(documentsValuesKernel.with(text), { ...operands, documents }, params);
  else r.run(sequenceValuesKernel.with(text), operands, params);
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
  const out = { value: r.tensor("attention", [B * T, H * D]), needsGradient: p.needsGradient || v.needsGradient };
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
