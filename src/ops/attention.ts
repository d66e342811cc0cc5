import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { forwardText, keyBackwardText, queryBackwardText, shapeOf } from "./flash_attention_text.ts";
import forwardCode from "../../shaders/flash_attention.wgsl" with { type: "text" };
import keyBackwardCode from "../../shaders/flash_attention_key_backward.wgsl" with { type: "text" };
import queryBackwardCode from "../../shaders/flash_attention_query_backward.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const params = { n: "u32", B: "u32", T: "u32", H: "u32", KV: "u32", scale: "f32" } as const;

const forwardKernel = defineKernel({
  name: "flash_attention",
  code: forwardCode,
  libraries: [threadCode],
  bindings: { q: "read", k: "read", v: "read", out: "read_write", lse: "read_write" },
  params,
  constants: { WORKGROUP: 16, ...forwardText(16) },
  groups: perThread,
});

const queryBackwardKernel = defineKernel({
  name: "flash_attention_query_backward",
  code: queryBackwardCode,
  libraries: [threadCode],
  bindings: { q: "read", k: "read", v: "read", out: "read", dout: "read", lse: "read", dq: "read_write", delta: "read_write" },
  params,
  constants: { WORKGROUP: 16, ...queryBackwardText(16) },
  groups: perThread,
});

const keyBackwardKernel = defineKernel({
  name: "flash_attention_key_backward",
  code: keyBackwardCode,
  libraries: [threadCode],
  bindings: { q: "read", k: "read", v: "read", dout: "read", lse: "read", delta: "read", dk: "read_write", dv: "read_write" },
  params,
  constants: { WORKGROUP: 16, ...keyBackwardText(16) },
  groups: perThread,
});

export interface AttentionSize {
  readonly B: number;
  readonly T: number;
  /** Query heads. */
  readonly H: number;
  /** Key/value heads; divides H (grouped-query attention, Ainslie et al., 2023). */
  readonly KV: number;
  readonly D: number;
}

/** Causal softmax(q kᵀ / √D) v. q: (B*T, H*D), k and v: (B*T, KV*D); returns (B*T, H*D). */
export function attention(r: Recorder, q: Variable, k: Variable, v: Variable, { B, T, H, KV, D }: AttentionSize): Variable {
  const needsGradient = q.needsGradient || k.needsGradient || v.needsGradient;
  const out = { value: r.tensor("attention", [B * T, H * D]), needsGradient };
  const lse = r.tensor("attention.lse", [B * T, H]);
  const sizes = { B, T, H, KV, scale: 1 / Math.sqrt(D) };
  const threads = (heads: number, rows: number): number => B * heads * ceilDiv(T, rows);
  const operands = { q: q.value, k: k.value, v: v.value };
  r.run(forwardKernel.with(forwardText(D)), { ...operands, out: out.value, lse }, { ...sizes, n: threads(H, shapeOf(D, 2).rows) });
  r.onBackward(out, [q, k, v], (dout) => {
    const delta = r.tensor("attention.delta", [B * T, H], "scratch");
    const target = (of: Variable) => r.gradientFor(of)?.tensor ?? r.tensor("unused", of.value.shape, "scratch");
    const [dq, dk, dv] = [target(q), target(k), target(v)] as const;
    r.run(queryBackwardKernel.with(queryBackwardText(D)), { ...operands, out: out.value, dout, lse, dq, delta }, { ...sizes, n: threads(H, shapeOf(D, 3).rows) });
    r.run(keyBackwardKernel.with(keyBackwardText(D)), { ...operands, dout, lse, delta, dk, dv }, { ...sizes, n: threads(KV, shapeOf(D, 4).rows) });
  });
  return out;
}
