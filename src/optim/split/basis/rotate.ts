import { defineKernel, perThread } from "../../../gpu/kernel.ts";
import { matmul } from "../../../ops/matmul.ts";
import { SCALAR, vectorsOf } from "../../../ops/vector.ts";
import type { Recorder } from "../../../plan/recorder.ts";
import { size, type Tensor } from "../../../plan/tensor.ts";
import type { BasisSide } from "./power_iteration.ts";
import stepInputsCode from "../../../../shaders/lib/step_inputs.wgsl" with { type: "text" };
import pastCorrectionCode from "../../../../shaders/lib/past_correction.wgsl" with { type: "text" };
import rotateFinishCode from "../../../../shaders/rotate_finish.wgsl" with { type: "text" };
import rotatePrepareCode from "../../../../shaders/rotate_prepare.wgsl" with { type: "text" };
import threadCode from "../../../../shaders/lib/thread.wgsl" with { type: "text" };

const rotatePrepareKernel = defineKernel({
  name: "rotate_prepare",
  code: rotatePrepareCode,
  libraries: [threadCode, stepInputsCode, pastCorrectionCode],
  reads: { step_inputs: "StepInputs", turn: "array<Vector>", m: "array<Vector>", v: "array<Vector>" },
  writes: { weights: "array<Vector>", spread: "array<Vector>" },
  params: { n: "u32", spreads: "u32", beta1: "f32", complement1: "f32", beta2: "f32", complement2: "f32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

const finishDefinition = {
  code: rotateFinishCode,
  libraries: [threadCode, stepInputsCode, pastCorrectionCode],
  params: { n: "u32", beta1: "f32", complement1: "f32", beta2: "f32", complement2: "f32" },
  groups: perThread,
} as const;
const rotateMeanKernel = defineKernel({
  ...finishDefinition,
  name: "rotate_mean",
  reads: { step_inputs: "StepInputs", mean: "array<Vector>" },
  writes: { m: "array<Vector>" },
  constants: { WORKGROUP: 64, SECOND: false, ...SCALAR },
});
const rotateMomentsKernel = defineKernel({
  ...finishDefinition,
  name: "rotate_moments",
  reads: { step_inputs: "StepInputs", mean: "array<Vector>", spread: "array<Vector>" },
  writes: { m: "array<Vector>", v: "array<Vector>" },
  constants: { WORKGROUP: 64, SECOND: true, ...SCALAR },
});

/**
 * Records how moments follow their subspace to a new basis, in place (projection-aware rotation, LDAdam: Robert et al.,
 * 2025). With C = afterᵀ before, and c1, c2 the bias corrections of the steps done so far, for the left (the right is
 * its transpose): m' = C m; v' = |c2 (C∘C (v / c2 - (m / c1)²) + (m' / c1)²)| that is, the variances are rotated as
 * those of independent numbers. Nothing changes if step_inputs.restart is set or no step was done.
 * @param before, after (d, k) with orthonormal columns.
 * @param moments m, or m and v: (k, w) for the left, (w, k) for the right.
 * @param step_inputs (8) u32, see shaders/lib/step_inputs.wgsl: its bias corrections are those of the step to come, t +
 * 1, from which `betas` make those of t. Read for m and v only.
 */
export function rotateMoments(
  r: Recorder,
  before: Tensor,
  after: Tensor,
  [m, v]: readonly Tensor[],
  side: BasisSide,
  step_inputs: Tensor,
  { beta1, beta2 }: { readonly beta1: number; readonly beta2: number },
): void {
  const [d, k] = before.shape as [number, number];
  const turn = r.tensor("turn", [k, k], "scratch");
  matmul(r, "TN", { a: after, b: before, target: { tensor: turn, accumulate: false } }, { M: k, N: k, K: d });
  const mean = turned(r, turn, m!, side);
  const betas = { beta1, complement1: 1 - beta1, beta2, complement2: 1 - beta2 };
  const { constants, width } = vectorsOf(size(m!));
  const n = size(m!) / width;
  if (!v) return r.run(rotateMeanKernel.with(constants), { step_inputs, mean, m: m! }, { n, ...betas });
  const spread = turned(r, ...prepare(r, turn, m!, v, step_inputs, betas), side);
  r.run(rotateMomentsKernel.with(constants), { step_inputs, mean, m: m!, spread, v }, { n, ...betas });
}

type Betas = Readonly<Record<"beta1" | "complement1" | "beta2" | "complement2", number>>;

/** The squares of the turn, and the variances to be multiplied by them. */
function prepare(r: Recorder, turn: Tensor, m: Tensor, v: Tensor, step_inputs: Tensor, betas: Betas): [Tensor, Tensor] {
  const weights = r.tensor("squared turn", turn.shape, "scratch"), spread = r.tensor("variances", m.shape, "scratch");
  const { constants, width } = vectorsOf([turn, m].every((one) => size(one) % 4 === 0) ? 4 : 1);
  r.run(rotatePrepareKernel.with(constants), { step_inputs, turn, m, v, weights, spread }, {
    n: (size(turn) + size(m)) / width,
    spreads: size(m) / width,
    ...betas,
  });
  return [weights, spread];
}

/** C x for the left, x Cᵀ for the right. */
function turned(r: Recorder, turn: Tensor, x: Tensor, side: BasisSide): Tensor {
  const k = turn.shape[0]!,
    w = size(x) / k,
    out = r.tensor("turned", x.shape, "scratch"),
    target = { tensor: out, accumulate: false };
  if (side === "left") matmul(r, "NN", { a: turn, b: x, target }, { M: k, N: w, K: k });
  else matmul(r, "NT", { a: x, b: turn, target }, { M: w, N: k, K: k });
  return out;
}
