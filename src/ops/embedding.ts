import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import type { Tensor } from "../plan/tensor.ts";
import { fill } from "./elementwise.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/embedding_backward.wgsl" with { type: "text" };
import forwardCode from "../../shaders/embedding.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const forwardKernel = defineKernel({
  name: "embedding",
  code: forwardCode,
  libraries: [threadCode],
  reads: { ids: "array<u32>", weight: "numbers" },
  writes: { y: "numbers" },
  params: { n: "u32", C: "u32", V: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

const backwardKernel = defineKernel({
  name: "embedding_backward",
  code: backwardCode,
  libraries: [threadCode],
  reads: { order: "array<u32>", segment_ids: "array<u32>", segment_offsets: "array<u32>", dy: "numbers" },
  writes: { dweight: "numbers" },
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
  /** (N + 1): the start of each token's rows in `order`. */
  readonly segment_offsets: Tensor;
}

/**
 * y[row] = weight[ids[row]]. weight: (V, C), in any format; ids: (N) u32; y: (N, C). `segments` are needed for training
 * only.
 * @throws RangeError if the weight is not f32 and C not a multiple of 4.
 */
export function embedding(r: Recorder, weight: Variable, ids: Tensor, segments?: Segments): Variable {
  const [V, C] = weight.value.shape as [number, number];
  const N = ids.shape[0]!;
  const y = { value: r.activation("embedding", [N, C]), needsGradient: weight.needsGradient };
  const { constants, width } = vectorsOf(C);
  const params = { n: (N * C) / width, C: C / width, V };
  const { type, label } = weight.value;
  if (type !== "f32" && width !== 4) {
    throw new RangeError(
      `Cannot record embedding() of ${label} in ${type}: its rows have ${C} numbers, expected a multiple of 4. ` +
        "Store it as f32",
    );
  }
  r.run(forwardKernel.with(constants), { ids, weight: weight.value, y: y.value }, params);
  r.onBackward(y, [weight], (dy) => {
    if (!segments) throw new Error("Cannot record the backward pass of embedding(): it has no segments");
    const dWeight = r.gradientFor(weight)!;
    if (!dWeight.accumulate) fill(r, dWeight.tensor, 0);
    r.run(backwardKernel.with(constants), { ...segments, dy, dweight: dWeight.tensor }, params);
  });
  return y;
}
