// Bytes of optimizer state by formula, for tests that hold plans against them.

import type { OptimizerSpec } from "../../src/optim/optimizer_spec.ts";

type Shape = readonly number[];

const MOMENTS = { adam: 2, adam_hf: 2, lion: 1, sgd: 1, none: 0 } as const;
const product = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
/** Numbers in whole blocks of 256. */
const inBlocks = (n: number): number => 256 * Math.ceil(n / 256);

/** Moments of n numbers: four bytes each, or one each and four a block of 256, if there are 4096. */
export function momentBytes({ active_update_rule: rule, optim_bits }: OptimizerSpec, n: number): number {
  return MOMENTS[rule] * (optim_bits === 8 && n >= 4096 ? inBlocks(n) + 4 * Math.ceil(n / 256) : 4 * n);
}

/** State of a matrix (m, n) under a split within it. `rank`: of a low one. */
export function matrixBytes(spec: OptimizerSpec, [m = 1, n = 1]: Shape, rank = 0): number {
  const { split, density, proj, proj_type, inactive_update_rule: free } = spec;
  const small = Math.min(m, n), large = Math.max(m, n), limiter = free === "fira" || free === "apollo" ? 4 : 0;
  switch (split) {
    case "all":
      return momentBytes(spec, m * n);
    case "columns":
      return momentBytes(spec, m * Math.floor(density * n)) + limiter;
    case "rows":
      return momentBytes(spec, n * Math.floor(density * m)) + limiter;
    case "randk":
      return momentBytes(spec, Math.floor(density * m * n)) + 4 * Math.ceil((m * n) / 32) + limiter;
    case "low_rank": {
      // A basis of four bytes a number; of cosines which ones; of random numbers nothing.
      const basis = (side: number): number => (proj === "dct" ? 4 * rank : proj === "random" ? 0 : 4 * rank * side);
      if (proj_type === "full") return momentBytes(spec, rank * rank) + basis(m) + basis(n) + limiter;
      return momentBytes(spec, rank * large) + basis(small) + limiter;
    }
    default:
      return 0;
  }
}

/** State that whole parameters share in turn: as much as the largest set needs, each rounded up to 256 numbers. */
export const poolBytes = (spec: OptimizerSpec, sets: readonly (readonly Shape[])[]): number =>
  momentBytes(
    spec,
    Math.max(...sets.map((shapes) => shapes.reduce((sum, shape) => sum + inBlocks(product(shape)), 0))),
  );
