import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { vectorsOf } from "./vector.ts";
import { matmul } from "./matmul.ts";
import crossEntropyCode from "../../shaders/cross_entropy.wgsl" with { type: "text" };
import crossEntropyTiledCode from "../../shaders/cross_entropy_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import scheduleCode from "../../shaders/lib/schedule.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };

const definition = {
  reads: { labels: "array<u32>", schedule: "Schedule" },
  writes: { logits_inout: "array<Vector>", loss: "array<f32>" },
  params: { n: "u32", V: "u32", first: "u32", loss_first: "u32" },
} as const;
const crossEntropyKernel = {
  portable: defineKernel({
    ...definition,
    name: "cross_entropy",
    code: crossEntropyCode,
    libraries: [threadCode, scheduleCode, vectorCode],
    constants: { WORKGROUP: 8, GRADIENT: false, ...rowConstants(1) },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...definition,
    name: "cross_entropy_tiled",
    code: crossEntropyTiledCode,
    libraries: [reduceCode, scheduleCode],
    constants: { WORKGROUP: 256, GRADIENT: false },
    groups: ({ n }) => n,
  }),
};

/**
 * Constants of a kernel that handles sixteen numbers of a row in one turn of a loop. Besides being fast it keeps a
 * vocabulary of 262 144 within llvmpipe's limit: a thread's loops end after 65 535 turns there, without an error.
 */
function rowConstants(V: number): Constants {
  const { constants, width } = vectorsOf(V);
  return { ...constants, UNROLL: 16 / width };
}

/**
 * Bytes of logits that exist at a time, at most. GPUs want larger matmuls, and read the head's weight once for each
 * chunk.
 */
const CHUNK_BYTES = { portable: 4 * 1024 * 1024, tiled: 24 * 1024 * 1024 };
/** The most chunks: more take longer to plan than they save. */
const MAX_CHUNKS = 128;

/** The place for the losses of N tokens: a tensor of at least first + N numbers. */
export interface LossTarget {
  /** The tensor of the losses, f32. */
  readonly tensor: Tensor;
  /** The place of the first of them in it. */
  readonly first: number;
}

/**
 * Next-token loss of a language model's head, -log softmax(hidden weightᵀ)[label], over chunks of rows so that the full
 * logits never exist; where gradients are wanted they are computed chunk by chunk on the way (Liger Kernel, Hsu et al.,
 * 2024). hidden: (N, C), weight: (V, C), labels: (N) u32; a label of V or more does not count. Gradients are scaled by
 * schedule.loss_scale.
 */
export function crossEntropy(
  r: Recorder,
  hidden: Variable,
  weight: Variable,
  labels: Tensor,
  schedule: Tensor,
  loss: LossTarget,
): void {
  const [N, C] = hidden.value.shape as [number, number];
  const V = weight.value.shape[0]!;
  const rowsPerChunk = Math.max(
    1,
    Math.ceil(N / MAX_CHUNKS),
    Math.min(N, Math.floor(CHUNK_BYTES[r.target === "tiled" ? "tiled" : "portable"] / (4 * V))),
  );
  const needsGradient = hidden.needsGradient || weight.needsGradient;
  const dHidden = r.gradientFor(hidden);
  const constants = { GRADIENT: r.training && needsGradient };
  const kernel = {
    portable: crossEntropyKernel.portable.with({ ...constants, ...rowConstants(V) }),
    tiled: crossEntropyKernel.tiled.with(constants),
  };
  for (let first = 0; first < N; first += rowsPerChunk) {
    const rows = Math.min(rowsPerChunk, N - first);
    const logits = r.tensor("logits", [rows, V], "scratch");
    matmul(r, "NT", { a: hidden.value, b: weight.value, target: { tensor: logits, accumulate: false } }, {
      M: rows,
      N: V,
      K: C,
      a_offset: first * C,
    });
    r.run(kernel, { labels, schedule, logits_inout: logits, loss: loss.tensor }, {
      n: rows,
      V,
      first,
      loss_first: loss.first,
    });
    const dWeight = r.gradientFor(weight);
    if (dWeight) {
      matmul(r, "TN", { a: logits, b: hidden.value, target: dWeight }, { M: V, N: C, K: rows, b_offset: first * C });
    }
    if (dHidden) {
      matmul(r, "NN", { a: logits, b: weight.value, target: dHidden }, { M: rows, N: C, K: V, out_offset: first * C });
    }
  }
  // The gradients are recorded already; this only counts the uses of hidden and weight.
  r.onBackward({ value: loss.tensor, needsGradient }, [hidden, weight], () => {});
}

/**
 * Loss of logits that are there already, those of a classifier: -log softmax(logits)[label]. logits: (N, V), labels:
 * (N) u32; a label of V or more does not count. In training the logits become their own gradient, scaled by
 * schedule.loss_scale, so nobody may read them afterwards.
 */
export function crossEntropyOfLogits(
  r: Recorder,
  logits: Variable,
  labels: Tensor,
  schedule: Tensor,
  loss: LossTarget,
): void {
  const [n, V] = logits.value.shape as [number, number];
  const constants = { GRADIENT: r.training && logits.needsGradient };
  const kernel = {
    portable: crossEntropyKernel.portable.with({ ...constants, ...rowConstants(V) }),
    tiled: crossEntropyKernel.tiled.with(constants),
  };
  r.run(kernel, { labels, schedule, logits_inout: logits.value, loss: loss.tensor }, {
    n,
    V,
    first: 0,
    loss_first: loss.first,
  });
  if (constants.GRADIENT) r.setGradient(logits, logits.value);
}
