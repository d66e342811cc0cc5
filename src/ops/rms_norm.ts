import { defineKernel, perThread } from "../gpu/kernel.ts";
import type { Recorder, Variable } from "../plan/recorder.ts";
import { size, tensor } from "../plan/tensor.ts";
import { normWeightBackward } from "./column_sums.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/rms_norm_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/rms_norm_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/rms_norm.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/rms_norm_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };

const forward = {
  reads: { x: "numbers", weight: "numbers" },
  writes: { y: "numbers", inverse_rms: "array<f32>" },
  params: { n: "u32", C: "u32", eps: "f32" },
} as const;
const forwardKernel = {
  portable: defineKernel({
    ...forward,
    name: "rms_norm",
    code: forwardCode,
    libraries: [threadCode, vectorCode],
    constants: { WORKGROUP: 16, ...SCALAR },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...forward,
    name: "rms_norm_tiled",
    code: forwardTiledCode,
    libraries: [reduceCode, vectorCode],
    constants: { WORKGROUP: 64 },
    groups: ({ n }) => n,
  }),
};

const backward = {
  reads: { x: "numbers", weight: "numbers", inverse_rms: "array<f32>", dy: "numbers" },
  writes: { dx: "numbers" },
  params: { n: "u32", C: "u32" },
} as const;
const backwardKernel = {
  portable: defineKernel({
    ...backward,
    name: "rms_norm_backward",
    code: backwardCode,
    libraries: [threadCode, vectorCode],
    constants: { WORKGROUP: 16, ACCUMULATE: false, ...SCALAR },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...backward,
    name: "rms_norm_backward_tiled",
    code: backwardTiledCode,
    libraries: [reduceCode, vectorCode],
    constants: { WORKGROUP: 64, ACCUMULATE: false },
    groups: ({ n }) => n,
  }),
};

/** Threads for a row of C numbers, if a workgroup has one row: wide rows are worth a deeper tree. */
export const threadsOfRow = (C: number): number => (C <= 1024 ? 64 : 256);

/**
 * Root mean square layer norm (Zhang & Sennrich, 2019): y = x / sqrt(mean(x²) + eps) * weight. x, y: (N, C), weight:
 * (C); or (N, H*C), and each of a row's H parts is normalised by itself, as Qwen3 does with the heads of queries and
 * keys.
 * @throws RangeError if C does not divide the rows of x.
 */
export function rmsNorm(r: Recorder, x: Variable, weight: Variable, eps: number): Variable {
  const [C] = weight.value.shape as [number];
  if (x.value.shape.at(-1)! % C !== 0) {
    throw new RangeError(
      `Cannot record rmsNorm() with ${weight.value.label}: x is (${x.value.shape}), expected rows of a multiple of ` +
        `${C}`,
    );
  }
  const n = size(x.value) / C;
  const label = weight.value.label.replace(/\.weight$/, "");
  const y = {
    value: tensor(label, x.value.shape, "activation", r.activationType(x.value.shape)),
    needsGradient: x.needsGradient || weight.needsGradient,
  };
  const inverse_rms = tensor(`${label}.inverse_rms`, [n], "activation");
  const { constants: vectors } = vectorsOf(C);
  const { portable, tiled } = forwardKernel;
  r.run({ portable: portable.with(vectors), tiled: tiled.with({ ...vectors, WORKGROUP: threadsOfRow(C) }) }, {
    x: x.value,
    weight: weight.value,
    y: y.value,
    inverse_rms,
  }, { n, C, eps });
  r.onBackward(y, [x, weight], (dy) => {
    const dWeight = r.gradientFor(weight);
    if (dWeight) normWeightBackward(r, "rms_norm", { x: x.value, statistics: inverse_rms, dy }, dWeight);
    const dx = r.gradientFor(x);
    const { portable, tiled } = backwardKernel;
    const constants = { ACCUMULATE: dx?.accumulate ?? false };
    if (dx) {
      r.run(
        {
          portable: portable.with({ ...constants, ...vectors }),
          tiled: tiled.with({ ...constants, ...vectors, WORKGROUP: threadsOfRow(C) }),
        },
        { x: x.value, weight: weight.value, inverse_rms, dy, dx: dx.tensor },
        { n, C },
      );
    }
  });
  return y;
}
