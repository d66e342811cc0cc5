import { defineKernel, perThread } from "../../../gpu/kernel.ts";
import { matmul } from "../../../ops/matmul.ts";
import { SCALAR, vectorsOf } from "../../../ops/vector.ts";
import type { Recorder } from "../../../plan/recorder.ts";
import { size, type Tensor } from "../../../plan/tensor.ts";
import { randomNormal, type RandomStream } from "./normal.ts";
import { goodTensor, orthonormalise } from "./orthonormalise.ts";
import commitBasisCode from "../../../../shaders/commit_basis.wgsl" with { type: "text" };
import threadCode from "../../../../shaders/lib/thread.wgsl" with { type: "text" };

const commitBasisKernel = defineKernel({
  name: "commit_basis",
  code: commitBasisCode,
  libraries: [threadCode],
  reads: { good: "array<u32>", candidate: "array<Vector>" },
  writes: { basis: "array<Vector>" },
  params: { n: "u32" },
  constants: { WORKGROUP: 64, ...SCALAR },
  groups: perThread,
});

/** The side of a gradient G (m, n) that a basis P multiplies: right, G P with P (n, k), or left, Pᵀ G with P (m, k). */
export type BasisSide = "left" | "right";

/** Records a basis (d, k) of k orthonormal directions out of d, drawn again at each step_inputs.drawn. */
export function randomOrthogonal(r: Recorder, basis: Tensor, step_inputs: Tensor, stream: RandomStream): void {
  randomNormal(r, basis, step_inputs, { ...stream, deviation: 1 });
  orthonormalise(r, basis, goodTensor(r), basis);
}

/**
 * Records the refresh of a basis of the leading singular vectors of a gradient by block power iteration: with A = G
 * (right) or Gᵀ (left), Z = orth(A P), P = orth(Aᵀ Z). Warm, one iteration from the present basis (as LDAdam, Robert et
 * al., 2025); cold, two from a random one, which is then as good as a randomised SVD (Halko, Martinsson & Tropp, 2011).
 * The basis stays as it is, at a cold start the random one, if the gradient is zero, not finite, or has fewer
 * independent directions than numbers tell apart.
 * @param gradient (m, n), only read.
 * @param basis state, (n, k) for the right, (m, k) for the left.
 * @param step_inputs (8) u32, see shaders/lib/step_inputs.wgsl; read at a cold start only.
 * @throws RangeError if the basis does not fit the gradient, or k exceeds the smaller of m and n.
 */
export function powerIteration(
  r: Recorder,
  gradient: Tensor,
  basis: Tensor,
  side: BasisSide,
  step_inputs: Tensor,
  { cold, ...stream }: RandomStream & { readonly cold: boolean },
): void {
  const [m, n] = gradient.shape as [number, number], [d, k] = basis.shape as [number, number];
  const rows = side === "right" ? n : m, most = Math.min(m, n);
  if (d !== rows || k > most) {
    throw new RangeError(
      `Cannot refresh ${basis.label} (${basis.shape}) from the ${side} of ${gradient.label} (${gradient.shape}): ` +
        `expected (${rows}, at most ${most})`,
    );
  }
  const good = goodTensor(r);
  if (cold) randomOrthogonal(r, basis, step_inputs, stream);
  let candidate = iterate(r, gradient, basis, side, good, true);
  if (cold) candidate = iterate(r, gradient, candidate, side, good, false);
  const { constants, width } = vectorsOf(size(basis));
  r.run(commitBasisKernel.with(constants), { good, candidate, basis }, { n: size(basis) / width });
}

function iterate(r: Recorder, gradient: Tensor, from: Tensor, side: BasisSide, good: Tensor, fresh: boolean): Tensor {
  const [m, n] = gradient.shape as [number, number], k = from.shape[1]!;
  const gradientTimes = (x: Tensor): Tensor => {
    const out = r.tensor("gradient times basis", [m, k], "scratch");
    matmul(r, "NN", { a: gradient, b: x, target: { tensor: out, accumulate: false } }, { M: m, N: k, K: n });
    return out;
  };
  const transposedTimes = (x: Tensor): Tensor => {
    const out = r.tensor("transposed gradient times basis", [n, k], "scratch");
    matmul(r, "TN", { a: gradient, b: x, target: { tensor: out, accumulate: false } }, { M: n, N: k, K: m });
    return out;
  };
  const [there, back] = side === "right" ? [gradientTimes, transposedTimes] : [transposedTimes, gradientTimes];
  const z = orthonormalise(r, there(from), good, undefined, fresh);
  return orthonormalise(r, back(z), good, undefined, false);
}
