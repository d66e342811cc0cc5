// The two halves of a rule of the grid in f64: the state-full rule on R, and the state-free rule on the rest.

import { type Reals, zeros } from "./ops.ts";
import { rotation, type Subspace } from "./grid_split.ts";

/** Summand of every norm that is a divisor. */
const NORM_FLOOR = 1e-8;

export type StateFull = "adam" | "adam_hf" | "lion" | "sgd";
export type StateFree = "no" | "sign_sgd" | "sgd" | "row_normalized" | "column_normalized" | "fira" | "apollo";

export interface StateFullSettings {
  readonly state_full: StateFull;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  /** Momentum of sgd. */
  readonly momentum: number;
  readonly nesterov: boolean;
}

/** Moments of R's shape. Lion and sgd use m alone. `t` counts the steps since they were zero. */
export interface Moments {
  m: Reals;
  v: Reals;
  t: number;
}

export const freshMoments = ({ rows, columns }: Subspace): Moments => ({
  m: zeros(rows * columns),
  v: zeros(rows * columns),
  t: 0,
});

/**
 * The rule's direction N, and the factor of the learning rate: adam_hf leaves the bias correction to it, and so its N
 * is not corrected.
 */
export function stateFull(
  part: Reals,
  moments: Moments,
  c: StateFullSettings,
): { readonly direction: Reals; readonly factor: number } {
  const { m, v } = moments, t = ++moments.t, { adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: eps } = c;
  const correction1 = 1 - beta1 ** t, correction2 = 1 - beta2 ** t;
  const direction = part.map((g, i) => {
    const before = m[i]!;
    if (c.state_full === "sgd") {
      m[i] = c.momentum * before + g;
      return c.nesterov ? g + c.momentum * m[i]! : m[i]!;
    }
    if (c.state_full === "lion") {
      m[i] = beta2 * before + (1 - beta2) * g;
      return Math.sign(beta1 * before + (1 - beta1) * g);
    }
    m[i] = beta1 * before + (1 - beta1) * g;
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    return c.state_full === "adam"
      ? m[i]! / correction1 / (Math.sqrt(v[i]!) / Math.sqrt(correction2) + eps)
      : m[i]! / (Math.sqrt(v[i]!) + eps);
  });
  return { direction, factor: c.state_full === "adam_hf" ? Math.sqrt(correction2) / correction1 : 1 };
}

/**
 * LDAdam's rotation into a new basis (Robert et al., 2024): m as a vector, v as the variance about it plus the new
 * mean's square. It does nothing before the first step.
 */
export function rotateMoments(
  { m, v, t }: Moments,
  from: Subspace,
  to: Subspace,
  [rows, columns]: readonly [number, number],
  c: StateFullSettings,
): Moments {
  if (t === 0) return freshMoments(to);
  const rotate = rotation(from, to, rows, columns), rotated = rotate(m);
  const correction1 = 1 - c.adam_beta1 ** t, correction2 = 1 - c.adam_beta2 ** t;
  const variance = rotate(v.map((square, i) => square / correction2 - (m[i]! / correction1) ** 2), true);
  return {
    m: rotated,
    v: rotated.map((mean, i) => Math.abs(correction2 * (variance[i]! + (mean / correction1) ** 2))),
    t,
  };
}

/** The update by the residual, for the rules that know nothing of R. residual: (m, n). */
export function stateFree(rule: Exclude<StateFree, "fira" | "apollo">, residual: Reals, n: number): Reals {
  switch (rule) {
    case "no":
      return zeros(residual.length);
    case "sign_sgd":
      return residual.map(Math.sign);
    case "sgd":
      return residual;
    case "row_normalized":
      return normalized(residual, n, (i) => Math.floor(i / n), n);
    case "column_normalized":
      return normalized(residual, n, (i) => i % n, residual.length / n);
    default:
      return rule satisfies never;
  }
}

/**
 * SCALE's normalization (Glentis et al., 2025): each element is divided by the root mean square, plus 1e-8, of all
 * `length` elements of its line, zeros included.
 */
function normalized(x: Reals, n: number, line: (i: number) => number, length: number): Reals {
  const squares = zeros(Math.max(n, x.length / n));
  x.forEach((value, i) => (squares[line(i)] = squares[line(i)]! + value * value));
  return x.map((value, i) => value / (Math.sqrt(squares[line(i)]! / length) + NORM_FLOOR));
}

const GROWTH = 1.01;

/** The ratio ‖N‖ / (‖R‖ + 1e-8) for each element of G: that of its row, its column or the tensor. */
export function normRatios(direction: Reals, part: Reals, { columns, axis }: Subspace, m: number, n: number): Reals {
  const line = (
    i: number,
    width: number,
  ): number => (axis === "row" ? Math.floor(i / width) : axis === "column" ? i % width : 0);
  const norms = (x: Reals): Reals => {
    const squares = zeros(Math.max(m, n));
    x.forEach((value, i) => (squares[line(i, columns)] = squares[line(i, columns)]! + value * value));
    return squares.map(Math.sqrt);
  };
  const above = norms(direction), below = norms(part);
  return zeros(m * n).map((_, i) => above[line(i, n)]! / (below[line(i, n)]! + NORM_FLOOR));
}

/**
 * The norm-growth limiter of Fira and APOLLO: the divisor of a scaled gradient of this norm, so that it is at most 1.01
 * times the one before. The first is free, and so is one after a norm of 0, which in their code holds all that follow
 * near 1e-8.
 */
export const growthDivisor = (norm: number, previous: number | undefined): number =>
  previous === undefined || previous === 0 ? 1 : Math.max(norm / (previous + NORM_FLOOR), GROWTH) / GROWTH;
