import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import { memoize } from "../gpu/memoize.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { type AttentionSize, newGradient } from "./attention_operands.ts";
import { forwardText, keyBackwardText, queryBackwardText, shapeOf } from "./flash_attention_text.ts";
import { tiledForwardText, tiledKeyBackwardText, tiledQueryBackwardText } from "./flash_attention_tiled_text.ts";
import forwardCode from "../../shaders/flash_attention.wgsl" with { type: "text" };
import keyBackwardCode from "../../shaders/flash_attention_key_backward.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/flash_attention_tiled.wgsl" with { type: "text" };
import keyBackwardTiledCode from "../../shaders/flash_attention_key_backward_tiled.wgsl" with { type: "text" };
import queryBackwardCode from "../../shaders/flash_attention_query_backward.wgsl" with { type: "text" };
import queryBackwardTiledCode from "../../shaders/flash_attention_query_backward_tiled.wgsl" with { type: "text" };
import slicesCode from "../../shaders/lib/attention_slices.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const params = { n: "u32", B: "u32", T: "u32", H: "u32", KV: "u32", scale: "f32" } as const;

interface Rows {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly KV: number;
}

/** The tiled kernels have a workgroup for every few positions of a head and do not use `n`. */
const perQueryHead = ({ B, T, H }: Rows, { ROWS }: Constants): number => B * H * ceilDiv(T, Number(ROWS));
const perKeyHead = ({ B, T, KV }: Rows, { ROWS }: Constants): number => B * KV * ceilDiv(T, Number(ROWS));

const forward = { bindings: { q: "read", k: "read", v: "read", out: "read_write", lse: "read_write" }, params } as const;
const forwardKernel = {
  portable: defineKernel({ ...forward, name: "flash_attention", code: forwardCode, libraries: [threadCode], constants: { WORKGROUP: 16, ...forwardText(16) }, groups: perThread }),
  tiled: defineKernel({ ...forward, name: "flash_attention_tiled", code: forwardTiledCode, libraries: [slicesCode], constants: { ...tiledForwardText(16) }, groups: perQueryHead }),
};

const queryBackward = {
  bindings: { q: "read", k: "read", v: "read", out: "read", dout: "read", lse: "read", dq: "read_write", delta: "read_write" },
  params,
} as const;
const queryBackwardKernel = {
  portable: defineKernel({ ...queryBackward, name: "flash_attention_query_backward", code: queryBackwardCode, libraries: [threadCode], constants: { WORKGROUP: 16, ...queryBackwardText(16) }, groups: perThread }),
  tiled: defineKernel({ ...queryBackward, name: "flash_attention_query_backward_tiled", code: queryBackwardTiledCode, libraries: [slicesCode], constants: { ...tiledQueryBackwardText(16) }, groups: perQueryHead }),
};

const keyBackward = {
  bindings: { q: "read", k: "read", v: "read", dout: "read", lse: "read", delta: "read", dk: "read_write", dv: "read_write" },
  params,
} as const;
const keyBackwardKernel = {
  portable: defineKernel({ ...keyBackward, name: "flash_attention_key_backward", code: keyBackwardCode, libraries: [threadCode], constants: { WORKGROUP: 16, ...keyBackwardText(16) }, groups: perThread }),
  tiled: defineKernel({ ...keyBackward, name: "flash_attention_key_backward_tiled", code: keyBackwardTiledCode, libraries: [slicesCode], constants: { ...tiledKeyBackwardText(16) }, groups: perKeyHead }),
};

interface Pair<K> {
  readonly portable: K;
  readonly tiled: K;
}

/** A family specialised for a head; the portable kernel alone where the tiled one cannot take it (long prime D, D of 256 and more). */
function familyOf<K extends { with(constants: Constants): K }>({ portable, tiled }: Pair<K>, text: Constants, tiledText: Constants | undefined): Pair<K> {
  const plain = portable.with(text);
  return { portable: plain, tiled: tiledText ? tiled.with(tiledText) : plain };
}

const forwardFamily = memoize((D: number) => familyOf(forwardKernel, forwardText(D), tiledForwardText(D)));
const queryBackwardFamily = memoize((D: number) => familyOf(queryBackwardKernel, queryBackwardText(D), tiledQueryBackwardText(D)));
const keyBackwardFamily = memoize((D: number) => familyOf(keyBackwardKernel, keyBackwardText(D), tiledKeyBackwardText(D)));

/** attention() that never holds the probabilities: it computes them again in the backward pass. */
export function flashAttention(r: Recorder, q: Variable, k: Variable, v: Variable, { B, T, H, KV, D }: AttentionSize): Variable {
  const needsGradient = q.needsGradient || k.needsGradient || v.needsGradient;
  const out = { value: r.tensor("attention", [B * T, H * D]), needsGradient };
  const lse = r.tensor("attention.lse", [B * T, H]);
  const sizes = { B, T, H, KV, scale: 1 / Math.sqrt(D) };
  const threads = (heads: number, rows: number): number => B * heads * ceilDiv(T, rows);
  const operands = { q: q.value, k: k.value, v: v.value };
  r.run(forwardFamily(D), { ...operands, out: out.value, lse }, { ...sizes, n: threads(H, shapeOf(D, 2).rows) });
  r.onBackward(out, [q, k, v], (dout) => {
    const delta = r.tensor("attention.delta", [B * T, H], "scratch");
    const target = (of: Variable) => newGradient(r, of) ?? r.tensor("unused", of.value.shape, "scratch");
    const [dq, dk, dv] = [target(q), target(k), target(v)] as const;
    r.run(queryBackwardFamily(D), { ...operands, out: out.value, dout, lse, dq, delta }, { ...sizes, n: threads(H, shapeOf(D, 3).rows) });
    r.run(keyBackwardFamily(D), { ...operands, dout, lse, delta, dk, dv }, { ...sizes, n: threads(KV, shapeOf(D, 4).rows) });
  });
  return out;
}
