import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { tensor } from "../plan/tensor.ts";
import { biasBackward, normWeightBackward } from "./column_sums.ts";
import { threadsOfRow } from "./rms_norm.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/layer_norm_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/layer_norm_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/layer_norm.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/layer_norm_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };

const forward = {
  reads: { x: "numbers", weight: "numbers", bias: "numbers" },
  writes: { y: "numbers", statistics: "array<vec2f>" },
  params: { n: "u32", C: "u32", eps: "f32" },
} as const;
const forwardKernel = {
  portable: defineKernel({
    ...forward,
    name: "layer_norm",
    code: forwardCode,
    libraries: [threadCode, vectorCode],
    constants: { WORKGROUP: 16, ...SCALAR },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...forward,
    name: "layer_norm_tiled",
    code: forwardTiledCode,
    libraries: [reduceCode, vectorCode],
    constants: { WORKGROUP: 64 },
    groups: ({ n }) => n,
  }),
};

const backward = {
  reads: { x: "numbers", weight: "numbers", statistics: "array<vec2f>", dy: "numbers" },
  writes: { dx: "numbers" },
  params: { n: "u32", C: "u32" },
} as const;
const backwardKernel = {
  portable: defineKernel({
    ...backward,
    name: "layer_norm_backward",
    code: backwardCode,
    libraries: [threadCode, vectorCode],
    constants: { WORKGROUP: 16, ACCUMULATE: false, ...SCALAR },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...backward,
    name: "layer_norm_backward_tiled",
    code: backwardTiledCode,
    libraries: [reduceCode, vectorCode],
    constants: { WORKGROUP: 64, ACCUMULATE: false },
    groups: ({ n }) => n,
  }),
};

/**
 * Layer normalization (Ba et al., 2016): y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, row by row.
 * x, y: (N, C), weight, bias: (C).
 * @throws RangeError if the shapes do not match.
 */
export function layerNorm(r: Recorder, x: Variable, weight: Variable, bias: Variable, eps: number): Variable {
  const [n, C] = x.value.shape as [number, number];
  for (const { value } of [weight, bias]) {
    if (value.shape.join() !== String(C)) {
      throw new RangeError(
        `Cannot record layerNorm() with ${value.label} (${value.shape}): x is (${x.value.shape}), expected (${C})`,
      );
    }
  }
  const label = weight.value.label.replace(/\.weight$/, "");
  const y = {
    value: tensor(label, [n, C], "activation", r.activationType([n, C])),
    needsGradient: x.needsGradient || weight.needsGradient || bias.needsGradient,
  };
  const statistics = tensor(`${label}.statistics`, [n, 2], "activation");
  const { constants: vectors } = vectorsOf(C);
  const { portable, tiled } = forwardKernel;
  const kernel = { portable: portable.with(vectors), tiled: tiled.with({ ...vectors, WORKGROUP: threadsOfRow(C) }) };
  r.run(kernel, { x: x.value, weight: weight.value, bias: bias.value, y: y.value, statistics }, { n, C, eps });
  r.onBackward(y, [x, weight, bias], (dy) => {
    const dBias = r.gradientFor(bias);
    if (dBias) biasBackward(r, dy, dBias);
    const dWeight = r.gradientFor(weight);
    if (dWeight) normWeightBackward(r, "layer_norm", { x: x.value, statistics, dy }, dWeight);
    const dx = r.gradientFor(x);
    const { portable, tiled } = backwardKernel;
    const constants = { ACCUMULATE: dx?.accumulate ?? false };
    if (dx) {
      r.run(
        {
          portable: portable.with({ ...constants, ...vectors }),
          tiled: tiled.with({ ...constants, ...vectors, WORKGROUP: threadsOfRow(C) }),
        },
        { x: x.value, weight: weight.value, statistics, dy, dx: dx.tensor },
        { n, C },
      );
    }
  });
  return y;
}
