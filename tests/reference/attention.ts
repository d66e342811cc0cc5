// Grouped-query attention in f64, without the running softmax of the kernels, on purpose: full rows of probabilities,
// one after another.

import { logSumExp, type Reals, zeros } from "./ops.ts";

export interface AttentionSize {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  /** Key/value heads; divides H. */
  readonly KV: number;
  readonly D: number;
  /** True, the default, if a position sees none after it. */
  readonly causal?: boolean;
  /** Positions that a position sees, its own among them. Default: all. */
  readonly window?: number;
  /** (B, T, 2): start and end of the document around each position. Default: 0 and T. */
  readonly documents?: ArrayLike<number>;
  /** (B, H, T, T): dropout's factor of each probability. Default: 1. */
  readonly factors?: ArrayLike<number>;
}

/** q: (B, T, H, D); k, v: (B, T, KV, D). */
export interface Operands {
  readonly q: Reals;
  readonly k: Reals;
  readonly v: Reals;
}

interface Row {
  /** Start of the query, and so of its output. */
  readonly query: number;
  /** Start of each key that the query sees, and so of its value. */
  readonly keys: readonly number[];
  /** softmax over the keys of q.k / √D. */
  readonly p: Reals;
  /** Dropout's factor of each p. */
  readonly factors: Reals;
  /**
   * Relative rounding error of each p in units of eps: that of its score, and of exp, which grows with its argument.
   */
  readonly roughness: Reals;
}

/** Each query with its keys and probabilities. */
function* rows(
  { q, k }: Operands,
  { B, T, H, KV, D, causal = true, window = T, documents, factors: all }: AttentionSize,
): Generator<Row> {
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      for (let t = 0; t < T; t++) {
        const query = ((b * T + t) * H + h) * D;
        const head = Math.floor(h / (H / KV));
        const start = Math.max(documents?.[2 * (b * T + t)] ?? 0, causal ? t + 1 - window : 0);
        const end = causal ? t + 1 : documents?.[2 * (b * T + t) + 1] ?? T;
        const keys = Array.from({ length: end - start }, (_, i) => ((b * T + start + i) * KV + head) * D);
        const scores = Float64Array.from(keys, (key) => dot(q, query, k, key, D) / Math.sqrt(D));
        const magnitudes = keys.map((key) => dot(q, query, k, key, D, true) / Math.sqrt(D));
        const denominator = logSumExp(scores), largest = Math.max(...magnitudes);
        const roughness = scores.map((score, j) => 1 + magnitudes[j]! + largest + Math.abs(score - denominator));
        const factors = Float64Array.from(keys, (_, i) => all?.[((b * H + h) * T + t) * T + start + i] ?? 1);
        yield { query, keys, p: scores.map((score) => Math.exp(score - denominator)), factors, roughness };
      }
    }
  }
}

function dot(a: Reals, aStart: number, b: Reals, bStart: number, D: number, magnitude = false): number {
  let sum = 0;
  for (let d = 0; d < D; d++) {
    const product = a[aStart + d]! * b[bStart + d]!;
    sum += magnitude ? Math.abs(product) : product;
  }
  return sum;
}

/** The output (B, T, H, D). */
export function attention(operands: Operands, size: AttentionSize): Reals {
  const out = zeros(operands.q.length);
  for (const { query, keys, p, factors } of rows(operands, size)) {
    keys.forEach((key, j) => addScaled(out, query, p[j]! * factors[j]!, operands.v, key, size.D));
  }
  return out;
}

export function attentionBackward(
  operands: Operands,
  dout: Reals,
  size: AttentionSize,
): { dq: Reals; dk: Reals; dv: Reals } {
  const { q, k, v } = operands, { D } = size;
  const dq = zeros(q.length), dk = zeros(k.length), dv = zeros(v.length);
  for (const { query, keys, p, factors } of rows(operands, size)) {
    const dp = Float64Array.from(keys, (key, j) => dot(dout, query, v, key, D) * factors[j]!);
    const delta = p.reduce((sum, probability, j) => sum + probability * dp[j]!, 0);
    keys.forEach((key, j) => {
      const ds = (p[j]! * (dp[j]! - delta)) / Math.sqrt(D);
      addScaled(dv, key, p[j]! * factors[j]!, dout, query, D);
      addScaled(dq, query, ds, k, key, D);
      addScaled(dk, key, ds, q, query, D);
    });
  }
  return { dq, dk, dv };
}

/**
 * The scale of each element of out, dq, dk and dv: the sum of the absolute values of its terms, each times the
 * roughness of its probability.
 */
export function attentionScales(
  operands: Operands,
  dout: Reals,
  size: AttentionSize,
): { out: Reals; dq: Reals; dk: Reals; dv: Reals } {
  const { q, k, v } = operands, { D } = size;
  const out = zeros(q.length), dq = zeros(q.length), dk = zeros(k.length), dv = zeros(v.length);
  const absolute = (values: Reals): Reals => values.map(Math.abs);
  const [q1, k1, v1, d1] = [absolute(q), absolute(k), absolute(v), absolute(dout)];
  for (const { query, keys, p, factors, roughness } of rows(operands, size)) {
    const dp = Float64Array.from(keys, (key, j) => dot(dout, query, v, key, D, true) * factors[j]!);
    // delta is a dot product with the rounded output, so it inherits the output's roughness.
    const delta = p.reduce((sum, probability, j) => sum + probability * dp[j]! * roughness[j]!, 0);
    keys.forEach((key, j) => {
      const share = p[j]! * roughness[j]!,
        ds = (share * dp[j]! + p[j]! * (delta + roughness[j]! * delta)) / Math.sqrt(D);
      addScaled(out, query, share * factors[j]!, v1, key, D);
      addScaled(dv, key, share * factors[j]!, d1, query, D);
      addScaled(dq, query, ds, k1, key, D);
      addScaled(dk, key, ds, q1, query, D);
    });
  }
  return { out, dq, dk, dv };
}

function addScaled(to: Reals, start: number, factor: number, from: Reals, fromStart: number, D: number): void {
  for (let d = 0; d < D; d++) to[start + d]! += factor * from[fromStart + d]!;
}
