import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { fill } from "./elementwise.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/embedding_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/embedding.wgsl" with { type: "text" };
import bf16Code from "../../shaders/lib/bf16.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const forwardKernel = defineKernel({
  name: "embedding",
  code: forwardCode,
  libraries: [threadCode, bf16Code],
  bindings: { ids: "read", weight: "read", y: "read_write" },
  params: { n: "u32", C: "u32", V: "u32" },
  constants: { WORKGROUP: 64, BF16: false, ...SCALAR },
  groups: perThread,
});

const backwardKernel = defineKernel({
  name: "embedding_backward",
  code: backwardCode,
  libraries: [threadCode],
  bindings: { order: "read", segment_ids: "read", segment_offsets: "read", dy: "read", dweight: "read_write" },
  params: { n: "u32", C: "u32", V: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** The rows of a batch sorted by their token, made on the host so that the backward pass needs no atomics. All u32. */
export interface Segments {
  /** (N): rows in order of their token. */
  readonly order: Tensor;
  /** (N): the distinct tokens, then 0xffffffff. */
  readonly segment_ids: Tensor;
  /** (N + 1): where each token's rows start in `order`. */
  readonly segment_offsets: Tensor;
}

/**
 * y[row] = weight[ids[row]]. weight: (V, C), f32 or bf16; ids: (N) u32; y: (N, C). `segments` are needed for training only.
 * @throws RangeError if the weight is bf16 and C not a multiple of 4.
 */
export function embedding(r: Recorder, weight: Variable, ids: Tensor, segments?: Segments): Variable {
  const [V, C] = weight.value.shape as [number, number];
  const N = ids.shape[0]!;
  const y = { value: r.tensor("embedding", [N, C]), needsGradient: weight.needsGradient };
  const { constants, width } = vectorsOf(C);
  const params = { n: (N * C) / width, C: C / width, V };
  const BF16 = weight.value.type === "bf16";
  if (BF16 && width !== 4) throw new RangeError(`Cannot record embedding() of ${weight.value.label} in bf16: its rows have ${C} numbers, expected a multiple of 4. Store it as f32`);
  r.run(forwardKernel.with({ ...constants, BF16 }), { ids, weight: weight.value, y: y.value }, params);
  r.onBackward(y, [weight], (dy) => {
    if (!segments) throw new Error("Cannot record the backward pass of embedding(): it has no segments");
    const dWeight = r.gradientFor(weight)!;
    if (!dWeight.accumulate) fill(r, dWeight.tensor, 0);
    r.run(backwardKernel.with(constants), { ...segments, dy, dweight: dWeight.tensor }, params);
  });
  return y;
}
