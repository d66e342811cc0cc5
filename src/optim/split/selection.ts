import { ceilDiv, defineKernel, perThread } from "../../gpu/kernel.ts";
import type { Constants } from "../../gpu/preprocess.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { SCALAR } from "../../ops/vector.ts";
import { size, type Tensor } from "../../plan/tensor.ts";
import stepInputsCode from "../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import finiteCode from "../../../shaders/lib/finite.wgsl" with { type: "text" };
import gatherCode from "../../../shaders/gather.wgsl" with { type: "text" };
import maskSelectionCode from "../../../shaders/mask_selection.wgsl" with { type: "text" };
import philoxCode from "../../../shaders/lib/philox.wgsl" with { type: "text" };
import randomMaskCode from "../../../shaders/random_mask.wgsl" with { type: "text" };
import scatterCode from "../../../shaders/scatter.wgsl" with { type: "text" };
import selectionCode from "../../../shaders/lib/selection.wgsl" with { type: "text" };
import threadCode from "../../../shaders/lib/thread.wgsl" with { type: "text" };

/** Splits whose state-full part is a set of a matrix's columns, rows or elements. */
export type SelectionKind = "columns" | "rows" | "randk";

/** The library that finds a thread's selected elements, for a kernel whose threads handle `width` neighbours. */
export function selectionText(
  kind: SelectionKind,
  width: 1 | 4,
): { readonly code: string; readonly constants: Constants } {
  return {
    code: selectionCode,
    constants: {
      PER_ROW: kind === "rows",
      PER_COLUMN: kind === "columns",
      PER_ELEMENT: kind === "randk",
      WIDTH: width,
      MASK: width === 4 ? 15 : 1,
    },
  };
}

const byElement = {
  libraries: [threadCode, stepInputsCode, finiteCode, selectionCode],
  params: { n: "u32", columns: "u32" },
  constants: { WORKGROUP: 64, ACCUMULATE: false, ...SCALAR, ...selectionText("columns", 1).constants },
  groups: perThread,
} as const;
const gatherKernel = defineKernel({
  ...byElement,
  name: "gather",
  code: gatherCode,
  reads: { step_inputs: "StepInputs", selection: "array<u32>", gradient: "array<f32>" },
  writes: { chosen: "array<f32>" },
});
const scatterKernel = defineKernel({
  ...byElement,
  name: "scatter",
  code: scatterCode,
  reads: { step_inputs: "StepInputs", selection: "array<u32>", chosen: "array<f32>" },
  writes: { out: "array<f32>" },
});

/** Records chosen = the selected elements of `gradient` (m, n), in row-major order. */
export function gather(
  r: Recorder,
  kind: SelectionKind,
  tensors: {
    readonly step_inputs: Tensor;
    readonly selection: Tensor;
    readonly gradient: Tensor;
    readonly chosen: Tensor;
  },
): void {
  r.run(gatherKernel.with(selectionText(kind, 1).constants), tensors, {
    n: size(tensors.gradient),
    columns: tensors.gradient.shape.at(-1)!,
  });
}

/**
 * Records out (m, n) = chosen at the selected elements and 0 at the others that are finite, or adds chosen to them if
 * `accumulate`.
 */
export function scatter(
  r: Recorder,
  kind: SelectionKind,
  tensors: { readonly step_inputs: Tensor; readonly selection: Tensor; readonly chosen: Tensor; readonly out: Tensor },
  accumulate: boolean,
): void {
  r.run(scatterKernel.with({ ...selectionText(kind, 1).constants, ACCUMULATE: accumulate }), tensors, {
    n: size(tensors.out),
    columns: tensors.out.shape.at(-1)!,
  });
}

const randomMaskKernel = defineKernel({
  name: "random_mask",
  code: randomMaskCode,
  libraries: [threadCode, stepInputsCode, philoxCode],
  reads: { step_inputs: "StepInputs" },
  writes: { mask: "array<u32>" },
  params: { n: "u32", words: "u32", seed: "u32", purpose: "u32" },
  constants: { WORKGROUP: 64, HALF: 1 },
  groups: ({ words }) => ceilDiv(words, 64),
});

/**
 * Records a mask of `step_inputs.count` random ones among n elements, a bit each: a function of the key and of
 * step_inputs.drawn.
 */
export function randomMask(
  r: Recorder,
  mask: Tensor,
  step_inputs: Tensor,
  n: number,
  [seed, purpose]: readonly [number, number],
): void {
  const HALF = Math.max(1, Math.ceil(Math.ceil(Math.log2(n)) / 2));
  r.run(randomMaskKernel.with({ HALF }), { step_inputs, mask }, { n, words: size(mask), seed, purpose });
}

const maskSelectionKernel = defineKernel({
  name: "mask_selection",
  code: maskSelectionCode,
  reads: { mask: "array<u32>" },
  writes: { selection: "array<u32>" },
  params: { words: "u32" },
  constants: { WORKGROUP: 64 },
  groups: () => 1,
});

/**
 * Records the selection of a mask, (words, 2) u32. It is made again in each step rather than kept: the mask is all that
 * is state.
 */
export function maskSelection(r: Recorder, mask: Tensor): Tensor {
  const selection = r.tensor("selection", [size(mask), 2], "scratch", "u32");
  r.run(maskSelectionKernel, { mask, selection }, { words: size(mask) });
  return selection;
}
