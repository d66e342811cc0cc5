// Orthogonalisation and the singular value decomposition in f64: the specification of src/optim/split/basis.

import { type Reals, zeros } from "./ops.ts";

/**
 * Gram-Schmidt, twice for the last digits, of y (d, k): the first j columns of q (d, k) span those of y for every j.
 */
export function gramSchmidt(y: Reals, k: number): Reals {
  const q = y.slice();
  const dot = (i: number, j: number): number => {
    let sum = 0;
    for (let at = 0; at < q.length; at += k) sum += q[at + i]! * q[at + j]!;
    return sum;
  };
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < 2 * i; j++) {
      const share = dot(i, j % i);
      for (let at = 0; at < q.length; at += k) q[at + i]! -= share * q[at + (j % i)]!;
    }
    const norm = Math.sqrt(dot(i, i));
    for (let at = 0; at < q.length; at += k) q[at + i]! /= norm;
  }
  return q;
}

/** Singular values of a (m, n) in falling order, and the right singular vectors as the columns of v (n, n). */
export interface Svd {
  readonly values: Reals;
  readonly v: Reals;
}

/**
 * One-sided Jacobi (Hestenes, 1958): rotates pairs of columns until all are orthogonal; their lengths are the singular
 * values.
 */
export function svd(a: Reals, n: number): Svd {
  const u = a.slice(), v = zeros(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let turned = false;
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) turned = rotatePair(u, v, n, i, j) || turned;
    if (!turned) break;
  }
  const length = (c: number): number => Math.sqrt(u.reduce((sum, x, at) => (at % n === c ? sum + x * x : sum), 0));
  const lengths = Array.from({ length: n }, (_, c) => length(c));
  const order = lengths.map((_, c) => c).sort((x, y) => lengths[y]! - lengths[x]!);
  return {
    values: Float64Array.from(order, (c) => lengths[c]!),
    v: v.map((_, at) => v[at - (at % n) + order[at % n]!]!),
  };
}

function rotatePair(u: Reals, v: Reals, n: number, i: number, j: number): boolean {
  let alpha = 0, beta = 0, gamma = 0;
  for (let at = 0; at < u.length; at += n) {
    const x = u[at + i]!, y = u[at + j]!;
    alpha += x * x;
    beta += y * y;
    gamma += x * y;
  }
  if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) return false;
  const zeta = (beta - alpha) / (2 * gamma), t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + t * t), sine = cosine * t;
  for (const matrix of [u, v]) {
    for (let at = 0; at < matrix.length; at += n) {
      const x = matrix[at + i]!, y = matrix[at + j]!;
      matrix[at + i] = cosine * x - sine * y;
      matrix[at + j] = sine * x + cosine * y;
    }
  }
  return true;
}

/** The (n, m) transpose of a (m, n). */
export function transpose(a: Reals, n: number): Reals {
  const m = a.length / n;
  return a.map((_, at) => a[(at % m) * n + Math.floor(at / m)]!);
}
