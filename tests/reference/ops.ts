// The specification of every op: f64, obvious, slow. Names, shapes and memory order are those of src/ops.
// Each backward is written by hand and held against central differences in tests/ops/reference.test.ts.

export type Reals = Float64Array<ArrayBuffer>;

export const zeros = (length: number): Reals => new Float64Array(length);

export interface MatmulSize {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/**
 * The product (M, N): NT = a (M, K) times b (N, K) transposed; NN = (M, K) (K, N); TN = a (K, M) transposed times b.
 */
export function matmul(mode: "NT" | "NN" | "TN", a: Reals, b: Reals, { M, N, K }: MatmulSize): Reals {
  const out = zeros(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) {
        sum += a[mode === "TN" ? k * M + m : m * K + k]! * b[mode === "NT" ? n * K + k : k * N + n]!;
      }
      out[m * N + n] = sum;
    }
  }
  return out;
}

/** The transpose (columns, rows) of x (rows, columns). */
export const transpose = (x: Reals, rows: number, columns: number): Reals =>
  x.map((_, i) => x[(i % rows) * columns + Math.floor(i / rows)]!);

export const add = (x: Reals, y: Reals): Reals => x.map((value, i) => value + y[i]!);

/** x y, element by element. */
export const multiply = (x: Reals, y: Reals): Reals => x.map((value, i) => value * y[i]!);

/** The rows y[row] = weight[ids[row]], (N, C). weight: (V, C). */
export function embedding(weight: Reals, ids: ArrayLike<number>, C: number): Reals {
  const y = zeros(ids.length * C);
  for (let row = 0; row < ids.length; row++) for (let c = 0; c < C; c++) y[row * C + c] = weight[ids[row]! * C + c]!;
  return y;
}

/** The gradient dweight: (V, C). */
export function embeddingBackward(dy: Reals, ids: ArrayLike<number>, V: number, C: number): Reals {
  const dweight = zeros(V * C);
  for (let row = 0; row < ids.length; row++) {
    for (let c = 0; c < C; c++) dweight[ids[row]! * C + c]! += dy[row * C + c]!;
  }
  return dweight;
}

/** y = x / sqrt(mean(x²) + eps) * weight. x, y: (N, C), weight: (C). */
export function rmsNorm(x: Reals, weight: Reals, eps: number): Reals {
  const C = weight.length, y = zeros(x.length);
  for (let row = 0; row < x.length / C; row++) {
    const r = inverseRms(x, row, C, eps);
    for (let c = 0; c < C; c++) y[row * C + c] = x[row * C + c]! * r * weight[c]!;
  }
  return y;
}

function inverseRms(x: Reals, row: number, C: number, eps: number): number {
  let sum = 0;
  for (let c = 0; c < C; c++) sum += x[row * C + c]! ** 2;
  return 1 / Math.sqrt(sum / C + eps);
}

/**
 * Gradients of rmsNorm(). `magnitude` adds up absolute values instead, to which each element's rounding is relative.
 */
export function rmsNormBackward(
  x: Reals,
  weight: Reals,
  eps: number,
  dy: Reals,
  magnitude = false,
): { dx: Reals; dweight: Reals } {
  const C = weight.length, dx = zeros(x.length), dweight = zeros(C);
  const of = magnitude ? Math.abs : (value: number): number => value;
  for (let row = 0; row < x.length / C; row++) {
    const r = inverseRms(x, row, C, eps);
    let mean = 0;
    for (let c = 0; c < C; c++) mean += of(x[row * C + c]! * weight[c]! * dy[row * C + c]!) / C;
    for (let c = 0; c < C; c++) {
      const i = row * C + c;
      dweight[c]! += of(dy[i]! * x[i]! * r);
      dx[i] = of(r * weight[c]! * dy[i]!) + of(-(r ** 3) * x[i]!) * mean;
    }
  }
  return { dx, dweight };
}

/** A row less its mean, times 1 / sqrt(variance + eps), and that factor. With `magnitude` the terms are added up. */
function normalised(
  x: Reals,
  row: number,
  { C, eps, magnitude }: { C: number; eps: number; magnitude: boolean },
): { normal: Reals; r: number } {
  const own = x.slice(row * C, (row + 1) * C),
    meanOf = (values: Reals): number => values.reduce((sum, value) => sum + value / C, 0);
  const mean = meanOf(own), largest = meanOf(own.map(Math.abs));
  const r = 1 / Math.sqrt(meanOf(own.map((value) => (value - mean) ** 2)) + eps);
  return { normal: own.map((value) => (magnitude ? Math.abs(value) + largest : value - mean) * r), r };
}

interface LayerNorm {
  readonly x: Reals;
  readonly weight: Reals;
  readonly bias: Reals;
  readonly eps: number;
}

/**
 * y = (x - mean) / sqrt(variance + eps) * weight + bias. x, y: (N, C), weight, bias: (C). `magnitude` adds up absolute
 * values instead.
 */
export function layerNorm({ x, weight, bias, eps }: LayerNorm, magnitude = false): Reals {
  const C = weight.length, y = zeros(x.length), of = magnitude ? Math.abs : (value: number): number => value;
  for (let row = 0; row < x.length / C; row++) {
    const { normal } = normalised(x, row, { C, eps, magnitude });
    normal.forEach((n, c) => (y[row * C + c] = of(weight[c]!) * n + of(bias[c]!)));
  }
  return y;
}

export function layerNormBackward(
  { x, weight, eps }: LayerNorm,
  dy: Reals,
  magnitude = false,
): { dx: Reals; dweight: Reals; dbias: Reals } {
  const C = weight.length, dx = zeros(x.length), dweight = zeros(C), dbias = zeros(C);
  const of = magnitude ? Math.abs : (value: number): number => value;
  for (let row = 0; row < x.length / C; row++) {
    const { normal, r } = normalised(x, row, { C, eps, magnitude });
    let shift = 0, shrink = 0;
    normal.forEach((n, c) => {
      const d = dy[row * C + c]!, g = of(weight[c]! * d);
      shift += g / C;
      shrink += (g * n) / C;
      dweight[c]! += of(d) * n;
      dbias[c]! += of(d);
    });
    normal.forEach((
      n,
      c,
    ) => (dx[row * C + c] = r * (of(weight[c]! * dy[row * C + c]!) + of(-1) * (shift + n * shrink))));
  }
  return { dx, dweight, dbias };
}

/** y = x + bias, row by row. */
export const addBias = (x: Reals, bias: Reals): Reals => x.map((value, i) => value + bias[i % bias.length]!);

/** Sum of the rows of dy (N, C). */
export const biasBackward = (dy: Reals, C: number): Reals =>
  Float64Array.from({ length: C }, (_, c) => dy.reduce((sum, d, i) => sum + (i % C === c ? d : 0), 0));

/** The first row of each sequence of x (B*T, C): (B, C). */
export const firstTokens = (x: Reals, T: number, C: number): Reals => x.filter((_, i) => Math.floor(i / C) % T === 0);

export const firstTokensBackward = (dy: Reals, T: number, C: number): Reals =>
  Float64Array.from(
    { length: dy.length * T },
    (_, i) => (Math.floor(i / C) % T === 0 ? dy[Math.floor(i / (T * C)) * C + (i % C)]! : 0),
  );

/** Turns the pair (i, i + D/2) of each head by the angle of its position. x: (B*T, heads*D), table: (T, 2, D/2). */
export function rope(
  x: Reals,
  table: Reals,
  { T, heads, D }: { T: number; heads: number; D: number },
  inverse = false,
): Reals {
  const y = zeros(x.length), half = D / 2;
  for (let row = 0; row < x.length / (heads * D); row++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < half; i++) {
        const at = (row * heads + head) * D + i, entry = (row % T) * D + i;
        const cosine = table[entry]!, sine = inverse ? -table[entry + half]! : table[entry + half]!;
        y[at] = x[at]! * cosine - x[at + half]! * sine;
        y[at + half] = x[at + half]! * cosine + x[at]! * sine;
      }
    }
  }
  return y;
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const swiglu = (gate: Reals, up: Reals): Reals => gate.map((g, i) => g * sigmoid(g) * up[i]!);

export function swigluBackward(gate: Reals, up: Reals, dy: Reals): { dgate: Reals; dup: Reals } {
  return {
    dgate: gate.map((g, i) => dy[i]! * up[i]! * sigmoid(g) * (1 + g * (1 - sigmoid(g)))),
    dup: gate.map((g, i) => dy[i]! * g * sigmoid(g)),
  };
}

export interface Head {
  /** (N, C) */
  readonly hidden: Reals;
  /** (V, C) */
  readonly weight: Reals;
  /** (N), V or more = ignored. */
  readonly labels: ArrayLike<number>;
}

/** Loss of each token: -log softmax(hidden weightᵀ)[label], 0 where it is ignored. */
export function crossEntropy(head: Head): Reals {
  const { V, logits } = logitsOf(head);
  return Float64Array.from(head.labels, (label, row) => {
    const own = logits.subarray(row * V, (row + 1) * V);
    return label < V ? logSumExp(own) - own[label]! : 0;
  });
}

/** Gradients of lossScale times the sum of the losses. */
export function crossEntropyBackward(
  head: Head,
  lossScale: number,
): { dlogits: Reals; dhidden: Reals; dweight: Reals } {
  const { N, V, C, logits } = logitsOf(head);
  const dlogits = zeros(N * V);
  for (let row = 0; row < N; row++) {
    const label = head.labels[row]!, own = logits.subarray(row * V, (row + 1) * V), denominator = logSumExp(own);
    if (label < V) {
      for (let v = 0; v < V; v++) {
        dlogits[row * V + v] = lossScale * (Math.exp(own[v]! - denominator) - (v === label ? 1 : 0));
      }
    }
  }
  return {
    dlogits,
    dhidden: matmul("NN", dlogits, head.weight, { M: N, N: C, K: V }),
    dweight: matmul("TN", dlogits, head.hidden, { M: V, N: C, K: N }),
  };
}

/** Loss of each row of logits (N, V), and the gradient of lossScale times their sum. */
export function crossEntropyOfLogits(
  logits: Reals,
  labels: ArrayLike<number>,
  lossScale: number,
): { loss: Reals; dlogits: Reals } {
  const V = logits.length / labels.length,
    identity = Float64Array.from({ length: V * V }, (_, i) => Number(i % (V + 1) === 0));
  const head = { hidden: logits, weight: identity, labels };
  return { loss: crossEntropy(head), dlogits: crossEntropyBackward(head, lossScale).dlogits };
}

function logitsOf({ hidden, weight, labels }: Head): { N: number; V: number; C: number; logits: Reals } {
  const N = labels.length, C = hidden.length / N, V = weight.length / C;
  return { N, V, C, logits: matmul("NT", hidden, weight, { M: N, N: V, K: C }) };
}

export function logSumExp(values: Reals): number {
  let highest = -Infinity, sum = 0;
  for (const value of values) highest = Math.max(highest, value);
  for (const value of values) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}
