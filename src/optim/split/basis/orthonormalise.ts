import { defineKernel } from "../../../gpu/kernel.ts";
import { matmul } from "../../../ops/matmul.ts";
import { SCALAR } from "../../../ops/vector.ts";
import type { Recorder } from "../../../plan/recorder.ts";
import type { Tensor } from "../../../plan/tensor.ts";
import choleskyInverseCode from "../../../../shaders/cholesky_inverse.wgsl" with { type: "text" };
import finiteCode from "../../../../shaders/lib/finite.wgsl" with { type: "text" };

const choleskyInverseKernel = defineKernel({
  name: "cholesky_inverse",
  code: choleskyInverseCode,
  libraries: [finiteCode],
  reads: {},
  writes: { gram: "array<f32>", inverse: "array<f32>", good: "array<u32>" },
  params: { k: "u32", shift: "f32", least_pivot: "f32", fresh: "u32" },
  constants: { WORKGROUP: 256, ...SCALAR },
  groups: () => 1,
});

/**
 * Shifts of the diagonal of each pass's Gram matrix, which is 1. Measured on gradients of training:
 * without a shift a third of the factorisations fail in f32, with these none.
 */
const PASSES = [
  { shift: 1e-4, least_pivot: 0 },
  { shift: 1e-6, least_pivot: 0 },
  // The columns are orthogonal by now, all but the last digits, unless the pass before could not make them so.
  { shift: 1e-7, least_pivot: 0.5 },
];

/** Most columns for which all loops of the kernel's longest thread keep to the turns that llvmpipe grants it. */
const MAX_COLUMNS = 768;

/** The verdict of `orthonormalise`: (1) u32, 1 or 0. */
export const goodTensor = (r: Recorder): Tensor => r.tensor("good", [1], "scratch", "u32");

/**
 * Records q (d, k) with orthonormal columns that span those of y (d, k), d >= k, the first j of q those of y for every
 * j: column-normalised shifted CholeskyQR, three passes (Fukaya, Kannan, Nakatsukasa, Yamamoto & Yanagisawa, 2020). In
 * f32 the columns may be as near to each other as 1e-3 of their length; the directions of dependent columns are made of
 * rounding errors.
 * @param good (1) u32, 1 afterwards if q is finite and orthonormal. It is 0, and q of no use, if y has a NaN, an
 * infinity or a column shorter than 1e-15. It is written here, or ANDed with its old value if `fresh` is false.
 * @param out tensor for q; it may be y itself.
 * @throws RangeError if y is not a matrix with at most as many columns as rows, and 768.
 */
export function orthonormalise(
  r: Recorder,
  y: Tensor,
  good: Tensor,
  out: Tensor = r.tensor("q", y.shape, "scratch"),
  fresh = true,
): Tensor {
  const [d, k] = y.shape;
  if (!d || !k || k > d || k > MAX_COLUMNS) {
    throw new RangeError(
      `Cannot orthonormalise the columns of ${y.label} (${y.shape}): expected (d, k) with 0 < k <= d and k <= ` +
        `${MAX_COLUMNS}`,
    );
  }
  return PASSES.reduce((from, numbers, pass) => {
    const gram = r.tensor("gram", [k, k], "scratch"), inverse = r.tensor("inverse factor", [k, k], "scratch");
    const to = pass === PASSES.length - 1 ? out : r.tensor("q", [d, k], "scratch");
    matmul(r, "TN", { a: from, b: from, target: { tensor: gram, accumulate: false } }, { M: k, N: k, K: d });
    r.run(choleskyInverseKernel, { gram, inverse, good }, { k, ...numbers, fresh: Number(fresh && pass === 0) });
    matmul(r, "NT", { a: from, b: inverse, target: { tensor: to, accumulate: false } }, { M: d, N: k, K: k });
    return to;
  }, y);
}
