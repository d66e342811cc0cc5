import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { type AttentionSize, checkDocuments, newGradient, windowOf } from "./attention_operands.ts";
import { windowConstants } from "./attention_window.ts";
import { vectorsOf } from "./vector.ts";
import forwardCode from "../../shaders/flash_attention.wgsl" with { type: "text" };
import keyBackwardCode from "../../shaders/flash_attention_key_backward.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/flash_attention_tiled.wgsl" with { type: "text" };
import keyBackwardTiledCode from "../../shaders/flash_attention_key_backward_tiled.wgsl" with { type: "text" };
import queryBackwardCode from "../../shaders/flash_attention_query_backward.wgsl" with { type: "text" };
import queryBackwardTiledCode from "../../shaders/flash_attention_query_backward_tiled.wgsl" with { type: "text" };
import tilesCode from "../../shaders/lib/attention_tiles.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const params = { n: "u32", B: "u32", T: "u32", H: "u32", KV: "u32", window: "u32", scale: "f32" } as const;

interface Rows {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly KV: number;
}

/** Positions of a workgroup of the tiled kernels: 16 x 16 threads have 4 x 4 scores each. */
const ROWS = 64;
/** Widest head of the tiled kernels: a thread holds a sixteenth of four rows of two outputs in registers. */
const WIDEST = 256;

/** Workgroups of the tiled kernels: one for every few positions of a head. They do not use `n`. */
const perQueryHead = ({ B, T, H }: Rows): number => B * H * ceilDiv(T, ROWS);
const perKeyHead = ({ B, T, KV }: Rows): number => B * KV * ceilDiv(T, ROWS);

/**
 * Positions of a thread of the portable kernels, whose registers hold `perRow` heads of D numbers for each.
 * More than a processor has registers, but the stack is near: at D = 32, four rows are twice as fast on llvmpipe as one
 * or two.
 */
function rowsOf(D: number, perRow: number): number {
  const registers = D <= 32 ? 512 : 256;
  return Math.max(1, Math.min(4, 2 ** Math.floor(Math.log2(registers / (perRow * D)))));
}

/**
 * Keys that a thread of the portable forward kernel takes at a time. Beyond the registers, more only make longer text:
 * at D = 64, one is a fifth faster than four on llvmpipe, 5 % slower on SwiftShader, and compiled in a third of the
 * time.
 */
const keysOf = (D: number): number => (D <= 32 ? 4 : 1);

/** The constants of both forms of a kernel for heads of D numbers. */
function constantsOf(D: number, perRow: number): { readonly portable: Constants; readonly tiled: Constants } {
  const { constants, width } = vectorsOf(D);
  return {
    portable: { ...constants, CHUNKS: D / width, ROWS: rowsOf(D, perRow), KEYS: keysOf(D) },
    tiled: { D, ROWS, GROUPS: ceilDiv(D, 64), RAGGED: D % 16 !== 0, WHOLE_FOURS: D % 4 === 0 },
  };
}

/** The three kernels: the registers of a portable one hold PER_ROW heads for each of a thread's positions. */
const FORWARD = {
  perRow: 2,
  portable: defineKernel({
    name: "flash_attention",
    code: forwardCode,
    libraries: [threadCode, vectorCode, windowCode],
    reads: { q: "numbers", k: "numbers", v: "numbers", documents: "array<vec2u>?" },
    writes: { out: "numbers", statistics: "array<vec2f>" },
    params,
    constants: { WORKGROUP: 16 },
    groups: perThread,
  }),
  tiled: defineKernel({
    name: "flash_attention_tiled",
    code: forwardTiledCode,
    libraries: [tilesCode, windowCode],
    reads: { q: "numbers", k: "numbers", v: "numbers", documents: "array<vec2u>?" },
    writes: { out: "numbers", statistics: "array<vec2f>" },
    params,
    groups: perQueryHead,
  }),
} as const;

const queryBackward = {
  reads: { q: "numbers", k: "numbers", v: "numbers", out: "numbers", dout: "numbers", documents: "array<vec2u>?" },
  writes: { dq: "numbers", statistics: "array<vec2f>" },
  params,
} as const;
const QUERY_BACKWARD = {
  perRow: 3,
  portable: defineKernel({
    ...queryBackward,
    name: "flash_attention_query_backward",
    code: queryBackwardCode,
    libraries: [threadCode, vectorCode, windowCode],
    constants: { WORKGROUP: 16 },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...queryBackward,
    name: "flash_attention_query_backward_tiled",
    code: queryBackwardTiledCode,
    libraries: [tilesCode, windowCode],
    groups: perQueryHead,
  }),
} as const;

const keyBackward = {
  reads: {
    q: "numbers",
    k: "numbers",
    v: "numbers",
    dout: "numbers",
    statistics: "array<vec2f>",
    documents: "array<vec2u>?",
  },
  writes: { dk: "numbers", dv: "numbers" },
  params,
} as const;
const KEY_BACKWARD = {
  perRow: 4,
  portable: defineKernel({
    ...keyBackward,
    name: "flash_attention_key_backward",
    code: keyBackwardCode,
    libraries: [threadCode, vectorCode, windowCode],
    constants: { WORKGROUP: 16 },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...keyBackward,
    name: "flash_attention_key_backward_tiled",
    code: keyBackwardTiledCode,
    libraries: [tilesCode, windowCode],
    groups: perKeyHead,
  }),
} as const;

interface Specialisable<K> {
  readonly perRow: number;
  readonly portable: K;
  readonly tiled: K;
}

/** Both forms specialised for a head and a window; the portable one alone where the head is too wide for the tiled. */
function kernelsFor<K extends { with(constants: Constants): K }>(
  { perRow, portable, tiled }: Specialisable<K>,
  size: AttentionSize,
): { readonly portable: K; readonly tiled: K } {
  const window = windowConstants(windowOf(size)), constants = constantsOf(size.D, perRow);
  const plain = portable.with({ ...window, ...constants.portable });
  return { portable: plain, tiled: size.D > WIDEST ? plain : tiled.with({ ...window, ...constants.tiled }) };
}

/** attention() that never holds the probabilities: it computes them again in the backward pass. */
export function flashAttention(r: Recorder, q: Variable, k: Variable, v: Variable, size: AttentionSize): Variable {
  checkDocuments(size);
  const { B, T, H, KV, D, documents, window = T } = size;
  const needsGradient = q.needsGradient || k.needsGradient || v.needsGradient;
  const out = { value: r.activation("attention", [B * T, H * D]), needsGradient };
  // Of each row: the logarithm of the softmax's denominator, and what the backward pass subtracts from all gradients.
  const statistics = r.tensor("attention.statistics", [B * T, H, 2]);
  const params = (heads: number, { perRow }: { readonly perRow: number }) => ({
    n: B * heads * ceilDiv(T, rowsOf(D, perRow)),
    B,
    T,
    H,
    KV,
    window,
    scale: 1 / Math.sqrt(D),
  });
  const operands = { q: q.value, k: k.value, v: v.value, documents, statistics };
  r.run(kernelsFor(FORWARD, size), { ...operands, out: out.value }, params(H, FORWARD));
  r.onBackward(out, [q, k, v], (dout) => {
    const target = (of: Variable) => newGradient(r, of) ?? r.tensor("unused", of.value.shape, "scratch", of.value.type);
    const [dq, dk, dv] = [target(q), target(k), target(v)] as const;
    const query = { ...operands, out: out.value, dout, dq };
    r.run(kernelsFor(QUERY_BACKWARD, size), query, params(H, QUERY_BACKWARD));
    r.run(kernelsFor(KEY_BACKWARD, size), { ...operands, dout, dk, dv }, params(KV, KEY_BACKWARD));
  });
  return out;
}
