import { ceilDiv, defineKernel, perThread } from "../gpu/kernel.ts";
import type { GradientTarget, Recorder, Variable } from "../plan/recorder.ts";
import { type Tensor, tensor } from "../plan/tensor.ts";
import { sumSlices } from "./sum_slices.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import backwardCode from "../../shaders/rms_norm_backward.wgsl" with { type: "text" };
import backwardTiledCode from "../../shaders/rms_norm_backward_tiled.wgsl" with { type: "text" };
import forwardCode from "../../shaders/rms_norm.wgsl" with { type: "text" };
import forwardTiledCode from "../../shaders/rms_norm_tiled.wgsl" with { type: "text" };
import weightBackwardCode from "../../shaders/rms_norm_weight_backward.wgsl" with { type: "text" };
import weightBackwardTiledCode from "../../shaders/rms_norm_weight_backward_tiled.wgsl" with { type: "text" };
import reduceCode from "../../shaders/lib/reduce.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };
import vectorCode from "../../shaders/lib/vector.wgsl" with { type: "text" };

const forward = {
  bindings: { x: "read", weight: "read", y: "read_write", inverse_rms: "read_write" },
  params: { n: "u32", C: "u32", eps: "f32" },
} as const;
const forwardKernel = {
  portable: defineKernel({ ...forward, name: "rms_norm", code: forwardCode, libraries: [threadCode, vectorCode], constants: { WORKGROUP: 16, ...SCALAR }, groups: perThread }),
  tiled: defineKernel({ ...forward, name: "rms_norm_tiled", code: forwardTiledCode, libraries: [reduceCode], constants: { WORKGROUP: 64 }, groups: ({ n }) => n }),
};

const backward = {
  bindings: { x: "read", weight: "read", inverse_rms: "read", dy: "read", dx: "read_write" },
  params: { n: "u32", C: "u32" },
} as const;
const backwardKernel = {
  portable: defineKernel({ ...backward, name: "rms_norm_backward", code: backwardCode, libraries: [threadCode, vectorCode], constants: { WORKGROUP: 16, ACCUMULATE: false, ...SCALAR }, groups: perThread }),
  tiled: defineKernel({ ...backward, name: "rms_norm_backward_tiled", code: backwardTiledCode, libraries: [reduceCode], constants: { WORKGROUP: 64, ACCUMULATE: false }, groups: ({ n }) => n }),
};

const weightBackwardKernel = defineKernel({
  name: "rms_norm_weight_backward",
  code: weightBackwardCode,
  libraries: [threadCode],
  bindings: { x: "read", inverse_rms: "read", dy: "read", dweight: "read_write" },
  params: { n: "u32", C: "u32" },
  constants: { WORKGROUP: 8, ACCUMULATE: false, ...SCALAR },
  groups: ({ C }, { WORKGROUP, WIDTH }) => ceilDiv(C, Number(WIDTH) * Number(WORKGROUP)),
});

const weightBackwardTiledKernel = defineKernel({
  name: "rms_norm_weight_backward_tiled",
  code: weightBackwardTiledCode,
  bindings: { x: "read", inverse_rms: "read", dy: "read", slices: "read_write" },
  params: { n: "u32", C: "u32", count: "u32" },
  constants: { WORKGROUP: 256, COLUMNS: 32, LANES: 8 },
  groups: ({ C, count }, { COLUMNS }) => [ceilDiv(C, Number(COLUMNS)), count, 1],
});

/** Threads for a row of C numbers, if a workgroup has one row: wide rows are worth a deeper tree. */
export const threadsOfRow = (C: number): number => (C <= 1024 ? 64 : 256);
/** Rows that one workgroup of the weight's backward adds up, and the most shares of them. */
const ROWS_PER_SHARE = 64, MAX_SHARES = 64;

/** Root mean square layer norm (Zhang & Sennrich, 2019): y = x / sqrt(mean(x²) + eps) * weight. x, y: (N, C), weight: (C). */
export function rmsNorm(r: Recorder, x: Variable, weight: Variable, eps: number): Variable {
  const [n, C] = x.value.shape as [number, number];
  const label = weight.value.label.replace(/\.weight$/, "");
  const y = { value: tensor(label, [n, C], "activation"), needsGradient: x.needsGradient || weight.needsGradient };
  const inverse_rms = tensor(`${label}.inverse_rms`, [n], "activation");
  const { constants: vectors } = vectorsOf(C);
  const { portable, tiled } = forwardKernel;
  r.run({ portable: portable.with(vectors), tiled: tiled.with({ WORKGROUP: threadsOfRow(C) }) }, { x: x.value, weight: weight.value, y: y.value, inverse_rms }, { n, C, eps });
  r.onBackward(y, [x, weight], (dy) => {
    const dWeight = r.gradientFor(weight);
    if (dWeight) weightBackward(r, { x: x.value, inverse_rms, dy }, dWeight);
    const dx = r.gradientFor(x);
    const { portable, tiled } = backwardKernel;
    const constants = { ACCUMULATE: dx?.accumulate ?? false };
    if (dx) r.run({ portable: portable.with({ ...constants, ...vectors }), tiled: tiled.with({ ...constants, WORKGROUP: threadsOfRow(C) }) }, { x: x.value, weight: weight.value, inverse_rms, dy, dx: dx.tensor }, { n, C });
  });
  return y;
}

/** The tiled variant shares the rows between workgroups, so it sums in two steps. */
function weightBackward(r: Recorder, operands: { readonly x: Tensor; readonly inverse_rms: Tensor; readonly dy: Tensor }, dWeight: GradientTarget): void {
  const [n, C] = operands.x.shape as [number, number];
  if (r.variant !== "tiled") {
    r.run(weightBackwardKernel.with({ ACCUMULATE: dWeight.accumulate, ...vectorsOf(C).constants }), { ...operands, dweight: dWeight.tensor }, { n, C });
    return;
  }
  const count = Math.min(MAX_SHARES, ceilDiv(n, ROWS_PER_SHARE));
  const slices = r.tensor("slices", [count, C], "scratch");
  r.run(weightBackwardTiledKernel, { ...operands, slices }, { n, C, count });
  sumSlices(r, slices, dWeight);
}
