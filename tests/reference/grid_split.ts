// The splits of the grid in f64: the part R of an (m, n) gradient G that a state-full rule sees, and the way back into
// G's shape.

import { matmul, type Reals, zeros } from "./ops.ts";

export type Split = "all" | "none" | "columns" | "rows" | "randk" | "left" | "right" | "full" | "blocks";

/**
 * The choice of a switch, by the split: `indices` for columns, rows and randk (of the row-major elements), `left` (m,
 * k) and `right` (n, k) for bases.
 */
export interface Chosen {
  readonly indices?: ArrayLike<number>;
  readonly left?: Reals;
  readonly right?: Reals;
  /** For "blocks": true if the whole matrix keeps state. */
  readonly active?: boolean;
}

export interface Subspace {
  /** Shape of R. */
  readonly rows: number;
  readonly columns: number;
  /** The unit of one norm-based scale. R has G's full length along it. */
  readonly axis: "row" | "column" | "tensor";
  /**
   * True if up(down(G)) is G: then the residual is 0 by definition. Rounding would leave noise there, which a sign
   * turns into steps.
   */
  readonly whole: boolean;
  readonly chosen: Chosen;
  down(gradient: Reals): Reals;
  up(part: Reals): Reals;
}

/**
 * The subspace of a split of an (m, n) matrix. Bases are taken as orthonormal, except by APOLLO, which has no use for
 * the residual.
 */
export function subspace(split: Split, m: number, n: number, chosen: Chosen): Subspace {
  switch (split) {
    case "all":
    case "none":
      return entries(m, n, chosen, split === "all" ? m : 0, n, m < n ? "column" : "row", (i, j) => i * n + j);
    case "blocks":
      return entries(
        m,
        n,
        chosen,
        given(split, chosen.active) ? m : 0,
        n,
        m < n ? "column" : "row",
        (i, j) => i * n + j,
      );
    case "columns": {
      const indices = given(split, chosen.indices);
      return entries(m, n, chosen, m, indices.length, "row", (i, j) => i * n + indices[j]!);
    }
    case "rows": {
      const indices = given(split, chosen.indices);
      return entries(m, n, chosen, indices.length, n, "column", (i, j) => indices[i]! * n + j);
    }
    case "randk": {
      const indices = given(split, chosen.indices);
      return entries(m, n, chosen, 1, indices.length, "tensor", (_, j) => indices[j]!);
    }
    case "left":
      return basis(m, n, { left: given(split, chosen.left) });
    case "right":
      return basis(m, n, { right: given(split, chosen.right) });
    case "full":
      return basis(m, n, { left: given(split, chosen.left), right: given(split, chosen.right) });
    default:
      return split satisfies never;
  }
}

function given<T>(split: Split, value: T | undefined): T {
  if (value === undefined) throw new Error(`The split ${split} was not told what to choose`);
  return value;
}

/** R gathers elements of G: `at` is the place in G of R's element (i, j). */
function entries(
  m: number,
  n: number,
  chosen: Chosen,
  rows: number,
  columns: number,
  axis: Subspace["axis"],
  at: (i: number, j: number) => number,
): Subspace {
  const places = Array.from({ length: rows * columns }, (_, k) => at(Math.floor(k / columns), k % columns));
  return {
    rows,
    columns,
    axis,
    chosen,
    whole: places.length === m * n,
    down: (gradient) => Float64Array.from(places, (place) => gradient[place]!),
    up(part) {
      const out = zeros(m * n);
      places.forEach((place, k) => (out[place] = part[k]!));
      return out;
    },
  };
}

/** R = leftᵀ G right, each where it is given; back with their transposes. */
function basis(m: number, n: number, chosen: Pick<Chosen, "left" | "right">): Subspace {
  const { left, right } = chosen;
  const rows = left ? left.length / m : m, columns = right ? right.length / n : n;
  return {
    rows,
    columns,
    chosen,
    axis: left && right ? "tensor" : left ? "column" : "row",
    whole: rows === m && columns === n,
    down(gradient) {
      const half = left ? matmul("TN", left, gradient, { M: rows, N: n, K: m }) : gradient;
      return right ? matmul("NN", half, right, { M: rows, N: columns, K: n }) : half.slice();
    },
    up(part) {
      const half = left ? matmul("NN", left, part, { M: m, N: columns, K: rows }) : part;
      return right ? matmul("NT", half, right, { M: m, N: n, K: columns }) : half.slice();
    },
  };
}

/**
 * The map of numbers in the old basis to the new one: C x D with C = newᵀ old on the left and D = oldᵀ new on the
 * right; `squared`: C and D squared by element.
 */
export function rotation(from: Subspace, to: Subspace, m: number, n: number): (x: Reals, squared?: boolean) => Reals {
  const change = (a: Reals | undefined, b: Reals | undefined, length: number): Reals | undefined =>
    a && b && matmul("TN", a, b, { M: a.length / length, N: b.length / length, K: length });
  const onLeft = change(to.chosen.left, from.chosen.left, m), onRight = change(from.chosen.right, to.chosen.right, n);
  if (!onLeft && !onRight) throw new Error("Moments can be rotated between bases only");
  return (x, squared = false) => {
    const power = (matrix: Reals): Reals => (squared ? matrix.map((c) => c * c) : matrix);
    const half = onLeft ? matmul("NN", power(onLeft), x, { M: to.rows, N: from.columns, K: from.rows }) : x;
    return onRight ? matmul("NN", half, power(onRight), { M: to.rows, N: to.columns, K: from.columns }) : half;
  };
}
