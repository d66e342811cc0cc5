import { ceilDiv, defineKernel, perThread } from "../../gpu/kernel.ts";
import { memoize } from "../../gpu/memoize.ts";
import { SCALAR, vectorsOf } from "../../ops/vector.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import type { StateFreeRule } from "../optimizer_spec.ts";
import axisSquaresCode from "../../../shaders/axis_squares.wgsl" with { type: "text" };
import axisSquaresTiledCode from "../../../shaders/axis_squares_tiled.wgsl" with { type: "text" };
import clipCode from "../../../shaders/lib/clip.wgsl" with { type: "text" };
import stepInputsCode from "../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import growthLimiterCode from "../../../shaders/growth_limiter.wgsl" with { type: "text" };
import normRatioCode from "../../../shaders/norm_ratio.wgsl" with { type: "text" };
import normRatioTiledCode from "../../../shaders/norm_ratio_tiled.wgsl" with { type: "text" };
import reduceCode from "../../../shaders/lib/reduce.wgsl" with { type: "text" };
import scaleResidualCode from "../../../shaders/scale_residual.wgsl" with { type: "text" };
import stateFreeCode from "../../../shaders/state_free.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

interface Common {
  readonly step_inputs: Tensor;
  readonly clip: Tensor;
  /** (m, n) The residual of the gradient, changed in place. */
  readonly residual: Tensor;
}

const stateFreeKernel = defineKernel({
  name: "state_free",
  code: stateFreeCode,
  libraries: [threadCode, stepInputsCode, clipCode, finiteCode],
  reads: { step_inputs: "StepInputs", clip: "Clip" },
  writes: { x: "array<Vector>" },
  params: { n: "u32", factor: "f32" },
  constants: { WORKGROUP: 64, FREE_SIGN: false, FREE_SGD: false, ACTIVE_SUBSET_ONLY: false, ...SCALAR },
  groups: perThread,
});

/**
 * Records residual = factor · sign(residual), or factor · residual, or 0. `activeSubsetOnly`: only in steps where
 * step_inputs.count is 0, so that nothing is state-full.
 */
export function signResidual(
  r: Recorder,
  { step_inputs, clip, residual }: Common,
  rule: StateFreeRule,
  factor: number,
  activeSubsetOnly: boolean,
): void {
  const { constants, width } = vectorsOf(size(residual));
  const kernel = stateFreeKernel.with({
    ...constants,
    FREE_SIGN: rule === "sign_sgd",
    FREE_SGD: rule === "sgd",
    ACTIVE_SUBSET_ONLY: activeSubsetOnly,
  });
  r.run(kernel, { step_inputs, clip, x: residual }, { n: size(residual) / width, factor });
}

const axisSquares = {
  reads: { step_inputs: "StepInputs", x: "array<f32>" },
  writes: { squares: "array<f32>" },
  params: { rows: "u32", columns: "u32", layers: "u32" },
} as const;
const axisSquaresKernel = {
  portable: defineKernel({
    ...axisSquares,
    name: "axis_squares",
    code: axisSquaresCode,
    libraries: [stepInputsCode],
    constants: { WORKGROUP: 16 },
    groups: (
      { rows, columns, layers },
      { ROWS, WORKGROUP },
    ) => [ceilDiv(ROWS ? rows : columns, Number(WORKGROUP)), layers, 1],
  }),
  tiled: defineKernel({
    ...axisSquares,
    name: "axis_squares_tiled",
    code: axisSquaresTiledCode,
    libraries: [stepInputsCode],
    groups: ({ rows, columns, layers }, { ROWS, SUMS }) => [ceilDiv(ROWS ? rows : columns, Number(SUMS)), layers, 1],
  }),
};

/** Threads that keep a GPU busy with sums, and the fewest numbers worth a thread. */
const WANTED_THREADS = 8192, SMALLEST_SHARE = 32;

/** Sums of squares: one for each row, or one for each column. */
type Axis = "rows" | "columns";

/**
 * Records the sums of squares of each row or column of x (rows, columns): (layers, sums), to be added up over the
 * layers.
 */
function recordAxisSquares(r: Recorder, x: Tensor, step_inputs: Tensor, axis: Axis, counted = false): Tensor {
  const [rows, columns] = matrixOf(x);
  const sums = axis === "rows" ? rows : columns, length = axis === "rows" ? columns : rows;
  const layers = Math.max(1, Math.min(ceilDiv(WANTED_THREADS, sums), Math.floor(length / SMALLEST_SHARE), 64));
  const squares = r.tensor("squares", [layers, sums], "scratch");
  const ROWS = axis === "rows", constants = { ROWS, COUNTED: counted };
  const kernel = {
    portable: axisSquaresKernel.portable.with(constants),
    // Threads of one sum lie along its row, those of several sums along the columns: both read neighbours.
    tiled: axisSquaresKernel.tiled.with({ ...constants, SUMS: ROWS ? 8 : 32, LANES: ROWS ? 32 : 8 }),
  };
  r.run(kernel, { step_inputs, x, squares }, { rows, columns, layers });
  return squares;
}

/** A vector is a matrix of one row. */
const matrixOf = (
  { shape }: Tensor,
): readonly [number, number] => (shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!]);

const normRatio = {
  reads: { clip: "Clip", x_squares: "array<f32>", direction_squares: "array<f32>?" },
  writes: { ratio: "array<f32>" },
  params: { n: "u32", layers: "u32", scale: "f32", length: "f32" },
} as const;
/** The kernels of a ratio for each row or column, or of a `single` one for all. */
const normRatioKernel = memoize((single: boolean) => ({
  portable: defineKernel({
    ...normRatio,
    name: "norm_ratio",
    code: normRatioCode,
    libraries: [threadCode, clipCode],
    constants: { WORKGROUP: 16, SINGLE: single },
    groups: perThread,
  }),
  tiled: defineKernel({
    ...normRatio,
    name: "norm_ratio_tiled",
    code: normRatioTiledCode,
    libraries: [reduceCode, clipCode],
    constants: { WORKGROUP: 256, SINGLE: single },
    groups: ({ n }, { WORKGROUP }) => (single ? 1 : ceilDiv(n, Number(WORKGROUP))),
  }),
}));

const scaleResidualKernel = defineKernel({
  name: "scale_residual",
  code: scaleResidualCode,
  libraries: [threadCode, stepInputsCode],
  reads: { step_inputs: "StepInputs", ratio: "array<f32>", factor: "array<f32>?" },
  writes: { x: "array<f32>" },
  params: { n: "u32", columns: "u32", factor: "f32" },
  constants: { WORKGROUP: 64, ROWS: true, ACTIVE_SUBSET_ONLY: false },
  groups: perThread,
});

/**
 * Records residual = factor · residual / root mean square of its row (or column): SCALE's normalised gradient (Glentis
 * et al., 2025). A row of zeros stays. `activeSubsetOnly`: only in steps where step_inputs.count is 0.
 */
export function normalizeResidual(
  r: Recorder,
  { step_inputs, clip, residual }: Common,
  axis: Axis,
  factor: number,
  activeSubsetOnly: boolean,
): void {
  const [rows, columns] = matrixOf(residual);
  const squares = recordAxisSquares(r, residual, step_inputs, axis);
  const [layers, n] = squares.shape as [number, number];
  const ratio = r.tensor("ratio", [n], "scratch");
  r.run(normRatioKernel(false), { clip, x_squares: squares, ratio }, {
    n,
    layers,
    scale: 1,
    length: axis === "rows" ? columns : rows,
  });
  r.run(scaleResidualKernel.with({ ROWS: axis === "rows", ACTIVE_SUBSET_ONLY: activeSubsetOnly }), {
    step_inputs,
    ratio,
    x: residual,
  }, {
    n: size(residual),
    columns,
    factor,
  });
}

const growthLimiterKernel = defineKernel({
  name: "growth_limiter",
  code: growthLimiterCode,
  libraries: [stepInputsCode, clipCode, reduceCode, finiteCode],
  reads: { step_inputs: "StepInputs", clip: "Clip", ratio: "array<f32>", squares: "array<f32>" },
  writes: { previous: "array<f32>", factor: "array<f32>" },
  params: { n: "u32", layers: "u32", front: "f32", back: "f32", growth: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: () => 1,
});

/** Largest growth of the norm from step to step, as in Fira's and APOLLO's code; and one that allows any. */
const GROWTH = 1.01, ANY_GROWTH = 1e38;

export interface NormScaling {
  /** Axis whose rows or columns the subspace keeps as the gradient's own; null: neither. */
  readonly axis: Axis | null;
  /** True for one ratio of the whole matrix, not one for each row or column. */
  readonly single: boolean;
  /** True if the compact matrix's length along the other axis is step_inputs.count. */
  readonly counted: boolean;
  /** Factor that direction and x have already. */
  readonly scale: number;
  /** Factors of the result before and after the limiter. */
  readonly front: number;
  readonly back: number;
  readonly limited: boolean;
}

/**
 * Records residual = residual · ‖direction‖ / ‖x‖, row by row, column by column or as a whole, its norm limited to grow
 * by 1 % a step: how Fira (Chen et al., 2024) and APOLLO (Zhu et al., 2024) let the subspace's adaptive rates act on
 * the rest of the gradient.
 * @param x, direction in the subspace, as recordStateFull() leaves them.
 * @param previous (1) state of the limiter.
 */
export function scaleByNorms(
  r: Recorder,
  { step_inputs, clip, residual, x, direction, previous }: Common & {
    readonly x: Tensor;
    readonly direction: Tensor;
    readonly previous: Tensor;
  },
  { axis, single, counted, scale, front, back, limited }: NormScaling,
): void {
  const columns = matrixOf(residual)[1], along = axis ?? "rows";
  const x_squares = recordAxisSquares(r, x, step_inputs, along, counted),
    direction_squares = recordAxisSquares(r, direction, step_inputs, along, counted);
  const squares = recordAxisSquares(r, residual, step_inputs, along);
  const n = squares.shape[1]!;
  const ratio = r.tensor("ratio", [n], "scratch");
  recordRatio(r, { clip, x_squares, direction_squares, ratio }, single, scale);
  const factor = r.tensor("factor", [1], "scratch");
  r.run(growthLimiterKernel, { step_inputs, clip, ratio, squares, previous, factor }, {
    n,
    layers: squares.shape[0]!,
    front,
    back,
    growth: limited ? GROWTH : ANY_GROWTH,
  });
  r.run(scaleResidualKernel.with({ ROWS: along === "rows" }), {
    step_inputs,
    ratio,
    factor,
    x: residual,
  }, { n: size(residual), columns, factor: 1 });
}

/** Records one ratio for each row or column; `single`: the same for all, of the norms of everything. */
function recordRatio(
  r: Recorder,
  tensors: Readonly<Record<"clip" | "x_squares" | "direction_squares" | "ratio", Tensor>>,
  single: boolean,
  scale: number,
): void {
  const [layers, sums] = tensors.x_squares.shape as [number, number];
  const n = size(tensors.ratio);
  r.run(normRatioKernel(single), tensors, {
    n,
    layers: single ? layers * sums : layers,
    scale,
    length: 1,
  });
}
