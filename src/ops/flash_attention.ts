import { type Access, ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import { memoize } from "../gpu/memoize.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { type AttentionSize, checkDocuments, newGradient, windowOf } from "./attention_operands.ts";
import { type AttentionWindow, PAST } from "./attention_window.ts";
import { forwardText, keyBackwardText, queryBackwardText, shapeOf, windowText } from "./flash_attention_text.ts";
import forwardCode from "../../shaders/flash_attention.wgsl" with { type: "text" };
import keyBackwardCode from "../../shaders/flash_attention_key_backward.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/flash_attention_tiled.wgsl" with { type: "text" };
import keyBackwardTiledCode from "../../shaders/flash_attention_key_backward_tiled.wgsl" with { type: "text" };
import queryBackwardCode from "../../shaders/flash_attention_query_backward.wgsl" with { type: "text" };
import queryBackwardTiledCode from "../../shaders/flash_attention_query_backward_tiled.wgsl" with { type: "text" };
import tilesCode from "../../shaders/lib/attention_tiles.wgsl" with { type: "text" };
import windowCode from "../../shaders/lib/attention_window.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const params = { n: "u32", B: "u32", T: "u32", H: "u32", KV: "u32", scale: "f32" } as const;

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

/** The constants of the tiled kernels; undefined for heads that are wider than they take. */
const tilesOf = (D: number): Constants | undefined =>
  D > WIDEST ? undefined : { D, ROWS, GROUPS: ceilDiv(D, 64), RAGGED: D % 16 !== 0 };

/** Workgroups of the tiled kernels: one for every few positions of a head. They do not use `n`. */
const perQueryHead = ({ B, T, H }: Rows): number => B * H * ceilDiv(T, ROWS);
const perKeyHead = ({ B, T, KV }: Rows): number => B * KV * ceilDiv(T, ROWS);

/** Both forms of the forward kernel. `window` must have documents if and only if the bindings have. */
const forwardKernel = <const B extends Readonly<Record<string, Access>>>(bindings: B, window: AttentionWindow) => {
  const definition = { bindings, params }, constants = windowText(window, "forward");
  return {
    portable: defineKernel({
      ...definition,
      name: "flash_attention",
      code: forwardCode,
      libraries: [threadCode, windowCode],
      constants: { WORKGROUP: 16, ...constants, ...forwardText(16, window) },
      groups: perThread,
    }),
    tiled: defineKernel({
      ...definition,
      name: "flash_attention_tiled",
      code: forwardTiledCode,
      libraries: [tilesCode, windowCode],
      constants: { ...constants, ...tilesOf(16) },
      groups: perQueryHead,
    }),
  };
};
const forwardBindings = { q: "read", k: "read", v: "read", out: "read_write", lse: "read_write" } as const;
const sequenceForwardKernel = forwardKernel(forwardBindings, PAST);
const documentsForwardKernel = forwardKernel({ ...forwardBindings, documents: "read" }, { ...PAST, documents: true });

const queryBackward = {
  bindings: {
    q: "read",
    k: "read",
    v: "read",
    out: "read",
    dout: "read",
    lse: "read",
    dq: "read_write",
    delta: "read_write",
  },
  params,
} as const;
const queryBackwardConstants = windowText(PAST, "query backward");
const queryBackwardKernel = {
  portable: defineKernel({
    ...queryBackward,
    name: "flash_attention_query_backward",
    code: queryBackwardCode,
    libraries: [threadCode, windowCode],
    constants: { WORKGROUP: 16, ...queryBackwardConstants, ...queryBackwardText(16, PAST) },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...queryBackward,
    name: "flash_attention_query_backward_tiled",
    code: queryBackwardTiledCode,
    libraries: [tilesCode, windowCode],
    constants: { ...queryBackwardConstants, ...tilesOf(16) },
    groups: perQueryHead,
  }),
};

const keyBackward = {
  bindings: {
    q: "read",
    k: "read",
    v: "read",
    dout: "read",
    lse: "read",
    delta: "read",
    dk: "read_write",
    dv: "read_write",
  },
  params,
} as const;
const keyBackwardConstants = windowText(PAST, "key backward");
const keyBackwardKernel = {
  portable: defineKernel({
    ...keyBackward,
    name: "flash_attention_key_backward",
    code: keyBackwardCode,
    libraries: [threadCode, windowCode],
    constants: { WORKGROUP: 16, ...keyBackwardConstants, ...keyBackwardText(16, PAST) },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...keyBackward,
    name: "flash_attention_key_backward_tiled",
    code: keyBackwardTiledCode,
    libraries: [tilesCode, windowCode],
    constants: { ...keyBackwardConstants, ...tilesOf(16) },
    groups: perKeyHead,
  }),
};

interface KernelPair<K> {
  readonly portable: K;
  readonly tiled: K;
}

/** The facts that kernels are specialised for: a head of D numbers, and the keys that a position sees. */
interface Head extends AttentionWindow {
  readonly D: number;
}

/** A family specialised for a head; the portable kernel alone where the head is too wide for the tiled one. */
function familyOf<K extends { with(constants: Constants): K }>(
  { portable, tiled }: KernelPair<K>,
  window: Constants,
  text: Constants,
  tiledText: Constants | undefined,
): KernelPair<K> {
  const plain = portable.with({ ...window, ...text });
  return { portable: plain, tiled: tiledText ? tiled.with({ ...window, ...tiledText }) : plain };
}

const sequenceForwardFamily = memoize((head: Head) =>
  familyOf(sequenceForwardKernel, windowText(head, "forward"), forwardText(head.D, head), tilesOf(head.D))
);
const documentsForwardFamily = memoize((head: Head) =>
  familyOf(documentsForwardKernel, windowText(head, "forward"), forwardText(head.D, head), tilesOf(head.D))
);
const queryBackwardFamily = memoize((head: Head) =>
  familyOf(
    queryBackwardKernel,
    windowText(head, "query backward"),
    queryBackwardText(head.D, head),
    tilesOf(head.D),
  )
);
const keyBackwardFamily = memoize((head: Head) =>
  familyOf(
    keyBackwardKernel,
    windowText(head, "key backward"),
    keyBackwardText(head.D, head),
    tilesOf(head.D),
  )
);

/** attention() that never holds the probabilities: it computes them again in the backward pass. */
export function flashAttention(r: Recorder, q: Variable, k: Variable, v: Variable, size: AttentionSize): Variable {
  checkDocuments(size);
  const { B, T, H, KV, D, documents } = size;
  const head = { D, ...windowOf(size) };
  const needsGradient = q.needsGradient || k.needsGradient || v.needsGradient;
  const out = { value: r.tensor("attention", [B * T, H * D]), needsGradient };
  // The backward kernels find the documents behind lse.
  const lse = r.tensor("attention.lse", [B * T, documents ? H + 2 : H]);
  const sizes = { B, T, H, KV, scale: 1 / Math.sqrt(D) };
  const threads = (heads: number, rows: number): number => B * heads * ceilDiv(T, rows);
  const operands = { q: q.value, k: k.value, v: v.value };
  const forward = { ...operands, out: out.value, lse }, forwardParams = { ...sizes, n: threads(H, shapeOf(D, 2).rows) };
  if (documents) r.run(documentsForwardFamily(head), { ...forward, documents }, forwardParams);
  else r.run(sequenceForwardFamily(head), forward, forwardParams);
  r.onBackward(out, [q, k, v], (dout) => {
    const delta = r.tensor("attention.delta", [B * T, H], "scratch");
    const target = (of: Variable) => newGradient(r, of) ?? r.tensor("unused", of.value.shape, "scratch");
    const [dq, dk, dv] = [target(q), target(k), target(v)] as const;
    r.run(queryBackwardFamily(head), { ...operands, out: out.value, dout, lse, dq, delta }, {
      ...sizes,
      n: threads(H, shapeOf(D, 3).rows),
    });
    r.run(keyBackwardFamily(head), { ...operands, dout, lse, delta, dk, dv }, {
      ...sizes,
      n: threads(KV, shapeOf(D, 4).rows),
    });
  });
  return out;
}
