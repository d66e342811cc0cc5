import type { LowRankLinear } from "../models/low_rank_linear.ts";
import type { Executor } from "../plan/executor.ts";
import { lowRankLayers } from "../models/parts.ts";
import type { StepHook } from "./step_hook.ts";

/** Row-major f64 matrices of rank x rank. */
type Square = Float64Array<ArrayBuffer>;
type Values = Float32Array<ArrayBuffer>;

export interface Balanced {
  readonly a: Values;
  readonly b: Values;
  /** False: a and b are those given. */
  readonly balanced: boolean;
}

/**
 * A pivot below this share of its row's own square has lost more than six digits to rounding: the row depends on the
 * others.
 */
const DEPENDENT = 1e-10;
/**
 * Smallest singular value of B A, as a share of the largest. In f64 the two transforms are inverse to each other to
 * 1e-16 over it.
 */
const NEGLIGIBLE = 1e-7;
/** Random factors of rank 32 to 256 take 9 to 11 sweeps, balanced ones after some training 4. */
const MAX_SWEEPS = 30;

/**
 * Weight refactorization (Glentis et al., 2025, OptimAI-Lab/Memory_Efficient_Pretraining, merge_and_reinit): with B A =
 * U S Vᵀ, singular values falling, B becomes U S^½ and A becomes S^½ Vᵀ, so that the product stays and BᵀB = A Aᵀ = S.
 * A: (rank, in), B: (out, rank).
 *
 * Never forms B A. With the Cholesky factors BᵀB = RᵀR and A Aᵀ = L Lᵀ, the rank x rank core R L has the singular
 * values of B A; of its decomposition U S Vᵀ follow B ← B (L V S^-½) and A ← (S^-½ Uᵀ R) A, whose transforms are
 * inverse to each other. In f64.
 *
 * Factors that are not finite or lack full rank (as B = 0, or a rank above what the product has) stay as they are: S^½
 * would make a column of B and its row of A both 0, and then neither has a gradient ever again.
 * @throws RangeError if a length does not fit.
 */
export function balanceFactors(a: Values, b: Values, out: number, width: number, rank: number): Balanced {
  if (a.length !== rank * width || b.length !== out * rank) {
    throw new RangeError(
      `Cannot balance factors of ${a.length} and ${b.length} numbers: expected A (${rank},${width}) and B ` +
        `(${out},${rank})`,
    );
  }
  const unchanged = { a, b, balanced: false };
  const bT = transposed(b, out, rank);
  const lowerA = cholesky(gram(a, rank), rank), lowerB = cholesky(gram(bT, rank), rank);
  if (!lowerA || !lowerB) return unchanged;
  // Transposed, so that columns lie together: lv is Lᵀ and becomes (L V)ᵀ, us is (R L)ᵀ and becomes (U S)ᵀ.
  const lv = transposed(lowerA, rank, rank), us = multiply(lv, lowerB, rank);
  rotate(us, lv, rank);
  const singular = Float64Array.from({ length: rank }, (_, i) => Math.sqrt(dot(us, i, us, i, rank)));
  const order = [...singular.keys()].sort((i, j) => singular[j]! - singular[i]!);
  if (!(singular[order[rank - 1]!]! > NEGLIGIBLE * singular[order[0]!]!)) return unchanged;
  const scaled = (rows: Square, i: number, power: number): readonly number[] =>
    [...rows.subarray(i * rank, (i + 1) * rank)].map((x) => x * singular[i]! ** power);
  const pick = (rows: Square, power: number): Square => Float64Array.from(order.flatMap((i) => scaled(rows, i, power)));
  const newA = multiply(multiply(pick(us, -1.5), transposed(lowerB, rank, rank), rank), a, rank),
    newBT = multiply(pick(lv, -0.5), bT, rank);
  return { a: new Float32Array(newA), b: new Float32Array(transposed(newBT, rank, out)), balanced: true };
}

/**
 * Balances every pair on the host and writes it back, with one CPU-GPU sync point a pair. Returns how many were
 * balanced; the others are as they were. Moments that an optimizer keeps belong to the old factors: reset them. Factors
 * in bf16 keep their product to the rounding of bf16 only.
 */
export async function rebalance(executor: Executor, factors: readonly LowRankLinear[]): Promise<number> {
  let count = 0;
  for (const { a, b } of factors) {
    const [oldA, oldB] = await Promise.all([executor.read(a.value), executor.read(b.value)]);
    const [rank, width] = a.value.shape as [number, number];
    const result = balanceFactors(oldA, oldB, b.value.shape[0]!, width, rank);
    if (!result.balanced) continue;
    executor.write(a.value, result.a);
    executor.write(b.value, result.b);
    count++;
  }
  return count;
}

/** Balances the factors of a factorised model every so many steps, after which all moments begin again. */
export const rebalanceHook = (every: number): StepHook => ({
  every,
  restartsMoments: true,
  before: async ({ executor, model }) => void await rebalance(executor, lowRankLayers(model)),
});

type Numbers = Float32Array | Float64Array;

function dot(x: Numbers, i: number, y: Numbers, j: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += x[i * length + k]! * y[j * length + k]!;
  return sum;
}

function transposed(x: Numbers, rows: number, columns: number): Float64Array<ArrayBuffer> {
  const y = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) y[j * rows + i] = x[i * columns + j]!;
  return y;
}

/** x xᵀ of x: (rank, …). */
function gram(x: Numbers, rank: number): Square {
  const result = new Float64Array(rank * rank), length = x.length / rank;
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) result[i * rank + j] = result[j * rank + i] = dot(x, i, x, j, length);
  }
  return result;
}

/** L of a positive definite L Lᵀ; undefined if it is not, which a NaN or an infinity makes it too. */
function cholesky(square: Square, rank: number): Square | undefined {
  const lower = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = square[i * rank + j]!;
      for (let k = 0; k < j; k++) rest -= lower[i * rank + k]! * lower[j * rank + k]!;
      if (j < i) lower[i * rank + j] = rest / lower[j * rank + j]!;
      else if (rest > DEPENDENT * square[i * rank + i]!) lower[i * rank + i] = Math.sqrt(rest);
      else return undefined;
    }
  }
  return lower;
}

/** x y of x: (…, rank) and y: (rank, …). Row by row of y, so that memory is read in order. */
function multiply(x: Square, y: Numbers, rank: number): Float64Array<ArrayBuffer> {
  const rows = x.length / rank, columns = y.length / rank, result = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < rank; k++) {
      const factor = x[i * rank + k]!;
      for (let j = 0; j < columns; j++) result[i * columns + j]! += factor * y[k * columns + j]!;
    }
  }
  return result;
}

/**
 * One-sided Jacobi (Hestenes, 1958): turns pairs of rows of `x` until all are orthogonal, and those of `y` along with
 * them.
 */
function rotate(x: Square, y: Square, rank: number): void {
  for (let sweep = 0, turned = true; turned && sweep < MAX_SWEEPS; sweep++) {
    turned = false;
    for (let i = 0; i < rank; i++) {
      for (let j = i + 1; j < rank; j++) {
        const xx = dot(x, i, x, i, rank), yy = dot(x, j, x, j, rank), xy = dot(x, i, x, j, rank);
        if (xy === 0 || Math.abs(xy) <= 1e-14 * Math.sqrt(xx * yy)) continue;
        turned = true;
        const cotangent = (yy - xx) / (2 * xy);
        const tangent = (cotangent < 0 ? -1 : 1) / (Math.abs(cotangent) + Math.sqrt(1 + cotangent ** 2));
        const cosine = 1 / Math.sqrt(1 + tangent ** 2);
        turn(x, i, j, rank, cosine, cosine * tangent);
        turn(y, i, j, rank, cosine, cosine * tangent);
      }
    }
  }
}

function turn(x: Square, i: number, j: number, length: number, cosine: number, sine: number): void {
  for (let k = 0; k < length; k++) {
    const p = x[i * length + k]!, q = x[j * length + k]!;
    x[i * length + k] = cosine * p - sine * q;
    x[j * length + k] = sine * p + cosine * q;
  }
}
