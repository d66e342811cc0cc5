import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { type AttentionSize, newGradient } from "./attention_operands.ts";
import { fused } from "./flash_attention_text.ts";
import { causalSoftmax, causalSoftmaxBackward } from "./softmax.ts";
import { lines, range } from "./text.ts";
import scoresCode from "../../shaders/attention_scores.wgsl" with { type: "text" };
import valuesCode from "../../shaders/attention_values.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

/** Positions that a thread holds, each way. */
const BLOCK = 4;

/** How a head of D numbers is cut: into vectors, of which a thread of attention_values holds `run`. */
function headOf(D: number): { readonly vector: "vec4f" | "f32"; readonly chunks: number; readonly run: number } {
  const vector = D % 4 === 0 ? "vec4f" : "f32";
  const chunks = vector === "vec4f" ? D / 4 : D;
  return { vector, chunks, run: [4, 2, 1].find((run) => chunks % run === 0)! };
}

function scoresText(D: number): Constants {
  const { vector, chunks } = headOf(D);
  const all = (line: (i: number, j: number) => string): string => lines(BLOCK, (i) => range(BLOCK).map((j) => line(i, j)).join("\n"));
  return {
    VECTOR: vector,
    CHUNKS: chunks,
    ROW_STARTS: lines(BLOCK, (i) => `  let x${i} = ((b * params.T + min(t + ${i}u, last)) * params.H + h) * ${chunks}u;
  let y${i} = ((b * params.T + min(j + ${i}u, last)) * params.KV + h / (params.H / params.KV)) * ${chunks}u;`),
    CLEAR_SUMS: all((i, j) => `  var sum${i}_${j} = ${vector}();`),
    MULTIPLY: [
      lines(BLOCK, (i) => `    let row${i} = x[x${i} + c];\n    let key${i} = y[y${i} + c];`),
      all((i, j) => `    sum${i}_${j} = fma(row${i}, key${j}, sum${i}_${j});`),
    ].join("\n"),
    STORE_SUMS: all((i, j) => `  if (t + ${i}u < params.T && j + ${j}u < params.T) {
    out[(head * params.T + t + ${i}u) * params.T + j + ${j}u] = params.scale * ${vector === "f32" ? `sum${i}_${j}` : `dot(sum${i}_${j}, vec4f(1.0))`};
  }`),
  };
}

function valuesText(D: number, TRANSPOSE: boolean): Constants {
  const { vector, chunks, run } = headOf(D);
  const place = (r: number): string => (TRANSPOSE ? `p_start + i * params.T + min(first + ${r}u, last)` : `p_start + min(first + ${r}u, last) * params.T + i`);
  return {
    VECTOR: vector,
    CHUNKS: chunks,
    RUN: run,
    TRANSPOSE,
    CLEAR_SUMS: lines(BLOCK, (r) => range(run).map((c) => `  var sum${r}_${c} = ${vector}();`).join("\n")),
    MULTIPLY: [
      lines(BLOCK, (r) => `    let p${r} = p[${place(r)}];`),
      lines(run, (c) => `    let x${c} = x[source + ${c}u];`),
      lines(BLOCK, (r) => range(run).map((c) => `    ${fused({ vector }, `p${r}`, `x${c}`, `sum${r}_${c}`)}`).join("\n")),
    ].join("\n"),
    STORE_SUMS: lines(BLOCK, (r) => `  if (first + ${r}u < params.T) {
    let to = ((b * params.T + first + ${r}u) * heads + h) * ${chunks}u + c;
${lines(run, (c) => `    out[to + ${c}u] = sum${r}_${c};`)}
  }`),
  };
}

const scoresKernel = defineKernel({
  name: "attention_scores",
  code: scoresCode,
  libraries: [threadCode],
  bindings: { x: "read", y: "read", out: "read_write" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32", scale: "f32" },
  constants: { WORKGROUP: 32, ...scoresText(16) },
  groups: perThread,
});

const valuesKernel = defineKernel({
  name: "attention_values",
  code: valuesCode,
  libraries: [threadCode],
  bindings: { p: "read", x: "read", out: "read_write" },
  params: { n: "u32", T: "u32", H: "u32", KV: "u32" },
  constants: { WORKGROUP: 32, ...valuesText(16, false) },
  groups: perThread,
});

/** attention() with all probabilities in memory, (B, H, T, T), for short sequences: three plain products instead of one long loop. */
export function materialisedAttention(r: Recorder, q: Variable, k: Variable, v: Variable, { B, T, H, KV, D }: AttentionSize): Variable {
  const needsGradient = q.needsGradient || k.needsGradient || v.needsGradient;
  const out = { value: r.tensor("attention", [B * T, H * D]), needsGradient };
  const p = r.tensor("attention.probabilities", [B, H, T, T]);
  const scale = 1 / Math.sqrt(D);
  const blocks = ceilDiv(T, BLOCK);
  const scores = (x: Tensor, y: Tensor, to: Tensor, factor: number): void =>
    r.run(scoresKernel.with(scoresText(D)), { x, y, out: to }, { n: B * H * blocks * blocks, T, H, KV, scale: factor });
  const { chunks, run } = headOf(D);
  const values = (weights: Tensor, x: Tensor, to: Tensor, transpose: boolean): void =>
    r.run(valuesKernel.with(valuesText(D, transpose)), { p: weights, x, out: to }, { n: (B * (transpose ? KV : H) * blocks * chunks) / run, T, H, KV });

  scores(q.value, k.value, p, scale);
  causalSoftmax(r, p);
  values(p, v.value, out.value, false);
  r.onBackward(out, [q, k, v], (dout) => {
    const dv = newGradient(r, v);
    if (dv) values(p, dout, dv, true);
    if (!q.needsGradient && !k.needsGradient) return;
    const ds = r.tensor("attention.d(scores)", p.shape, "scratch");
    scores(dout, v.value, ds, 1);
    causalSoftmaxBackward(r, p, ds, scale);
    const dq = newGradient(r, q);
    if (dq) values(ds, k.value, dq, false);
    const dk = newGradient(r, k);
    if (dk) values(ds, q.value, dk, true);
  });
  return out;
}
