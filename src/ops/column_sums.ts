import { ceilDiv, defineKernel } from "../gpu/kernel.ts";
import type { Constants } from "../gpu/preprocess.ts";
import type { GradientTarget, Recorder } from "../plan/recorder.ts";
import { size, type Tensor } from "../plan/tensor.ts";
import { sumSlices } from "./sum_slices.ts";
import { SCALAR, vectorsOf } from "./vector.ts";
import columnSumsCode from "../../shaders/column_sums.wgsl" with { type: "text" };
import columnSumsTiledCode from "../../shaders/column_sums_tiled.wgsl" with { type: "text" };
import threadCode from "../../shaders/lib/thread.wgsl" with { type: "text" };

const portable = {
  code: columnSumsCode,
  libraries: [threadCode],
  params: { n: "u32", C: "u32" },
  groups: ({ C }: { readonly C: number }, { WORKGROUP, WIDTH }: Constants) =>
    ceilDiv(C, Number(WIDTH) * Number(WORKGROUP)),
} as const;
const tiled = {
  code: columnSumsTiledCode,
  params: { n: "u32", C: "u32", count: "u32" },
  groups: ({ C, count }: { readonly C: number; readonly count: number }, { COLUMNS }: Constants) =>
    [ceilDiv(C, Number(COLUMNS)), count, 1] as const,
} as const;
const portableConstants = { WORKGROUP: 8, ACCUMULATE: false, ...SCALAR },
  tiledConstants = { WORKGROUP: 256, COLUMNS: 32, LANES: 8 };

const ofBias = { RMS_NORM: false, LAYER_NORM: false };
const biasKernel = defineKernel({
  ...portable,
  name: "bias_backward",
  reads: { dy: "numbers" },
  writes: { sums: "numbers" },
  constants: { ...portableConstants, ...ofBias },
});
const biasTiledKernel = defineKernel({
  ...tiled,
  name: "bias_backward_tiled",
  reads: { dy: "numbers" },
  writes: { slices: "array<f32>" },
  constants: { ...tiledConstants, ...ofBias },
});

/** The statistics that a norm has kept of each row. */
const STATISTICS = { rms_norm: "array<f32>", layer_norm: "array<vec2f>" } as const;
export type NormKind = keyof typeof STATISTICS;
function normKernels(norm: NormKind) {
  const reads = { x: "numbers", statistics: STATISTICS[norm], dy: "numbers" } as const;
  const ofNorm = { RMS_NORM: norm === "rms_norm", LAYER_NORM: norm === "layer_norm" };
  return {
    portable: defineKernel({
      ...portable,
      name: `${norm}_weight_backward`,
      reads,
      writes: { sums: "numbers" },
      constants: { ...portableConstants, ...ofNorm },
    }),
    tiled: defineKernel({
      ...tiled,
      name: `${norm}_weight_backward_tiled`,
      reads,
      writes: { slices: "array<f32>" },
      constants: { ...tiledConstants, ...ofNorm },
    }),
  };
}
const weightKernels = { rms_norm: normKernels("rms_norm"), layer_norm: normKernels("layer_norm") };

/** Rows that one workgroup adds up, and the most shares of them. */
const ROWS_PER_SHARE = 64, MAX_SHARES = 64;
/** More rows than this are shared between workgroups on every adapter: one thread's loop must not take them all. */
const MAX_ROWS_OF_A_THREAD = 32768;

interface NormOperands {
  readonly x: Tensor;
  readonly statistics: Tensor;
  readonly dy: Tensor;
}

/** Sum of the rows of dy (N, C), (C): the gradient of what was added to every row. */
export function biasBackward(r: Recorder, dy: Tensor, dBias: GradientTarget): void {
  const { params, constants, slices } = sharesOf(r, dy, dBias);
  if (!slices) return r.run(biasKernel.with(constants), { dy, sums: dBias.tensor }, params);
  r.run(biasTiledKernel, { dy, slices }, params);
  sumSlices(r, slices, dBias);
}

/** Sum of the rows of dy times the normalised x, both (N, C): the gradient of a norm's weight (C). */
export function normWeightBackward(r: Recorder, norm: NormKind, operands: NormOperands, dWeight: GradientTarget): void {
  const { params, constants, slices } = sharesOf(r, operands.dy, dWeight);
  const { portable, tiled } = weightKernels[norm];
  if (!slices) return r.run(portable.with(constants), { ...operands, sums: dWeight.tensor }, params);
  r.run(tiled, { ...operands, slices }, params);
  sumSlices(r, slices, dWeight);
}

/** Numbers of the launch. If there are `slices`, workgroups share the rows, and the slices are to be added up. */
function sharesOf(r: Recorder, dy: Tensor, { tensor, accumulate }: GradientTarget) {
  const C = size(tensor), n = size(dy) / C, count = Math.min(MAX_SHARES, ceilDiv(n, ROWS_PER_SHARE));
  const isShared = r.target === "tiled" || n > MAX_ROWS_OF_A_THREAD;
  return {
    params: { n, C, count },
    constants: { ACCUMULATE: accumulate, ...vectorsOf(C).constants },
    slices: isShared ? r.tensor("slices", [count, C], "scratch") : undefined,
  };
}
