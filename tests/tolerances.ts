// Every tolerance of the kernel tests, with its reason. All are in units of f32 rounding, EPS = 2^-23, and are
// multiplied by a scale of each element (see Expected.scale): the sum of the absolute values of the terms it is made
// of, where exponentials are involved times the rounding of their arguments. Relative to the result itself nothing
// holds: sums cancel.
//
// `terms` is the length of the longest sum. Its rounding errors add up like a random walk, so c * sqrt(terms), where a
// proof would give c * terms; the inputs are random, and a kernel that loses more than a random walk deserves to be
// noticed.
//
// "used" is the largest error that any element of any case has shown, as a share of its tolerance: portable and tiled
// kernels on llvmpipe (Deno) and SwiftShader (Chromium).

export const EPS = 2 ** -23;

/**
 * Adapters may flush what is smaller than 2^-126 to 0, probabilities above all; times factors of up to a million, this
 * is nothing.
 */
export const UNDERFLOW = 1e-31;

export interface Tolerance {
  /** Rounding errors in one term. */
  readonly perTerm: number;
  /** Rounding errors outside the sums, and the inaccuracy of exp, log, sqrt, division. */
  readonly fixed: number;
}

export const TOLERANCES = {
  /** Copies: no arithmetic at all. */
  exact: { perTerm: 0, fixed: 0 },
  /** One rounded addition. Used: 50 %. */
  add: { perTerm: 0, fixed: 1 },
  /** One rounded product, perhaps added to something. */
  multiply: { perTerm: 0, fixed: 1 },
  /** Sums of products. Used: 59 %. */
  matmul: { perTerm: 0.5, fixed: 1 },
  /** A sum of squares, its root and a division, and a product or three with that. Used: 65 %. */
  rmsNorm: { perTerm: 0.5, fixed: 4 },
  /** As rmsNorm, of numbers less their mean: the scale has both. Used: 36 %. */
  layerNorm: { perTerm: 0.5, fixed: 4 },
  /** One product with a rounded factor, perhaps added to something. Used: 50 %. */
  dropout: { perTerm: 0, fixed: 2 },
  /** A polynomial, an exponential and a product or two; the scale has the argument of the exponential. Used: 53 %. */
  gelu: { perTerm: 0, fixed: 4 },
  /** An exponential near 1 less 1, and a division. Used: 49 %. */
  tanh: { perTerm: 0, fixed: 6 },
  /** Two products and their sum. Used: 49 %. */
  rope: { perTerm: 0, fixed: 2 },
  /** exp is off by 3 + 2 |x| units in the last place at most (WGSL); the scale has the |x|. Used: 38 %. */
  swiglu: { perTerm: 0, fixed: 4 },
  /** Sums of the rows of one token. Used: 21 %. */
  embedding: { perTerm: 0.5, fixed: 1 },
  /** Products of sums with exponentials of sums; the scale has the roughness of each exponential. Used: 27 %. */
  attention: { perTerm: 0.25, fixed: 2 },
  /** As attention. Used: 25 %. */
  crossEntropy: { perTerm: 0.25, fixed: 2 },
} as const satisfies Record<string, Tolerance>;

export const toleranceOf = ({ perTerm, fixed }: Tolerance, terms: number): number =>
  EPS * (fixed + perTerm * Math.sqrt(terms));
