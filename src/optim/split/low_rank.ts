import { copyTensor } from "../../ops/elementwise.ts";
import { matmul } from "../../ops/matmul.ts";
import type { Recorder } from "../../plan/recorder.ts";
import { type Tensor, tensor } from "../../plan/tensor.ts";
import { dctFill, dctSelect } from "./basis/dct.ts";
import { randomNormal } from "./basis/normal.ts";
import { powerIteration, randomOrthogonal } from "./basis/power_iteration.ts";
import { rotateMoments } from "./basis/rotate.ts";
import type { Projection, ProjectionType } from "../optimizer_spec.ts";
import type { Refresh, Subspace, SubspaceContext } from "./subspace.ts";

/** Sides of a matrix (m, n) that a projection of this type acts on. */
export function sidesOf(proj_type: ProjectionType, [m, n]: readonly [number, number]): readonly ("left" | "right")[] {
  const smaller = m >= n ? "right" : "left";
  switch (proj_type) {
    case "std":
      return [smaller];
    case "reverse_std":
      return [smaller === "right" ? "left" : "right"];
    case "full":
      return ["left", "right"];
    default:
      return [proj_type];
  }
}

/** Length of the side that is projected, of which a density is a share. */
export const projectedLength = (proj_type: ProjectionType, shape: readonly [number, number]): number =>
  Math.min(...sidesOf(proj_type, shape).map((side) => (side === "left" ? shape[0] : shape[1])));

export interface LowRankOptions {
  readonly rank: number;
  readonly proj: Projection;
  readonly proj_type: ProjectionType;
  readonly seed: number;
  /** Betas of moments that follow the subspace to its new basis; undefined if they do not. */
  readonly rotate: { readonly beta1: number; readonly beta2: number } | undefined;
  /** The cosines of a side of some length, for dct. */
  readonly cosines: (length: number) => Tensor;
}

/**
 * A projection of a matrix G (m, n) to rank k: G P (m, k) from the right, Pᵀ G (k, n) from the left, or both (k, k). P
 * has leading singular vectors (GaLore, Zhao et al., 2024), random orthonormal ones, normal(0, 1/k) numbers (APOLLO,
 * Zhu et al., 2024), or the best vectors of a cosine transform (Modoranu et al., 2025). Normal and cosine ones are made
 * again in each step, not kept.
 */
export function lowRankSubspace(label: string, shape: readonly [number, number], options: LowRankOptions): Subspace {
  const [m, n] = shape, { rank: k, proj, proj_type } = options;
  const bases = sidesOf(proj_type, shape).map((side) =>
    basisOf(`${label}.${side}`, side, side === "left" ? m : n, options)
  );
  const [first, second] = bases as [Basis, Basis | undefined];
  return {
    shape: second ? [k, k] : first.side === "right" ? [m, k] : [k, n],
    stride: 1,
    axis: second ? null : first.side === "right" ? "rows" : "columns",
    counted: false,
    complete: bases.every(({ side }) => k === (side === "left" ? m : n)),
    state: bases.flatMap(({ state }) => state),
    refreshes: proj !== "random",
    prepare(r, context, refresh, moments) {
      const tensors = bases.map((basis) => basis.record(r, context, refresh, second ? [] : moments));
      const { gradient } = context;
      return second
        ? bothSides(r, gradient, tensors as [Tensor, Tensor])
        : oneSide(r, gradient, first.side, tensors[0]!);
    },
  };
}

interface Basis {
  readonly side: "left" | "right";
  readonly state: readonly Tensor[];
  /** Records the refresh and the rotation of the moments that follow it, and gives the basis (length, k). */
  record(r: Recorder, context: SubspaceContext, refresh: Refresh, moments: readonly Tensor[]): Tensor;
}

function basisOf(
  label: string,
  side: "left" | "right",
  length: number,
  { rank, proj, seed, rotate, cosines }: LowRankOptions,
): Basis {
  const stream = { seed, purpose: `basis ${label}` };
  /** The refresh between a copy of the old basis and the moments' rotation to the new one. */
  const turning = (
    r: Recorder,
    { step_inputs }: SubspaceContext,
    refresh: Refresh,
    moments: readonly Tensor[],
    current: () => Tensor,
    renew: () => void,
  ): Tensor => {
    if (refresh === "none") return current();
    const before = refresh === "warm" && rotate && moments.length > 0 ? copyTensor(r, current()) : undefined;
    renew();
    const after = current();
    if (before) rotateMoments(r, before, after, moments, side, step_inputs, rotate!);
    return after;
  };
  if (proj === "dct") {
    const indices = tensor(`${label}.indices`, [rank], "state", "u32"), table = cosines(length);
    return {
      side,
      state: [indices],
      record(r, context, refresh, moments) {
        const fill = (): Tensor => {
          const basis = r.tensor("basis", [length, rank], "scratch");
          dctFill(r, indices, table, basis);
          return basis;
        };
        return turning(
          r,
          context,
          refresh,
          moments,
          fill,
          () => dctSelect(r, context.gradient, indices, side, table, refresh === "cold"),
        );
      },
    };
  }
  if (proj === "random") {
    return {
      side,
      state: [],
      record(r, { step_inputs }) {
        const basis = r.tensor("basis", [length, rank], "scratch");
        randomNormal(r, basis, step_inputs, { ...stream, deviation: 1 / Math.sqrt(rank) });
        return basis;
      },
    };
  }
  const basis = tensor(`${label}.basis`, [length, rank], "state");
  return {
    side,
    state: [basis],
    record: (r, context, refresh, moments) =>
      turning(r, context, refresh, moments, () => basis, () => {
        if (proj === "svd") {
          powerIteration(r, context.gradient, basis, side, context.step_inputs, {
            ...stream,
            cold: refresh === "cold",
          });
        } else randomOrthogonal(r, basis, context.step_inputs, stream);
      }),
  };
}

const fresh = (tensor: Tensor) => ({ tensor, accumulate: false });

function oneSide(r: Recorder, gradient: Tensor, side: "left" | "right", basis: Tensor) {
  const [m, n] = gradient.shape as [number, number], k = basis.shape[1]!;
  return {
    down() {
      const out = r.tensor("projected", side === "right" ? [m, k] : [k, n], "scratch");
      if (side === "right") matmul(r, "NN", { a: gradient, b: basis, target: fresh(out) }, { M: m, N: k, K: n });
      else matmul(r, "TN", { a: basis, b: gradient, target: fresh(out) }, { M: k, N: n, K: m });
      return out;
    },
    up(x: Tensor, accumulate: boolean) {
      const target = { tensor: gradient, accumulate };
      if (side === "right") matmul(r, "NT", { a: x, b: basis, target }, { M: m, N: n, K: k });
      else matmul(r, "NN", { a: basis, b: x, target }, { M: m, N: n, K: k });
    },
  };
}

function bothSides(r: Recorder, gradient: Tensor, [left, right]: readonly [Tensor, Tensor]) {
  const [m, n] = gradient.shape as [number, number], k = left.shape[1]!;
  const half = (): Tensor => r.tensor("projected once", [m, k], "scratch");
  return {
    down() {
      const once = half(), out = r.tensor("projected", [k, k], "scratch");
      matmul(r, "NN", { a: gradient, b: right, target: fresh(once) }, { M: m, N: k, K: n });
      matmul(r, "TN", { a: left, b: once, target: fresh(out) }, { M: k, N: k, K: m });
      return out;
    },
    up(x: Tensor, accumulate: boolean) {
      const once = half();
      matmul(r, "NN", { a: left, b: x, target: fresh(once) }, { M: m, N: k, K: k });
      matmul(r, "NT", { a: once, b: right, target: { tensor: gradient, accumulate } }, { M: m, N: n, K: k });
    },
  };
}
