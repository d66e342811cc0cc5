// Activations in f64, each with its slope. tests/ops/reference.test.ts holds them against central differences.

import type { Reals } from "./ops.ts";

/** The density of the standard normal distribution. */
export const normalDensity = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** The cumulative normal distribution (1 + erf(x / √2)) / 2, with all digits in the lower tail too. */
export function cumulativeNormal(x: number): number {
  if (x > 0) return 1 - cumulativeNormal(-x);
  if (x < -5) {
    // Q(z) = density(z) / (z + 1 / (z + 2 / (z + 3 / …)))
    let fraction = -x;
    for (let k = 200; k > 0; k--) fraction = -x + k / fraction;
    return normalDensity(x) / fraction;
  }
  // 1/2 + density(x) (x + x³ / 3 + x⁵ / (3 5) + …)
  let term = x, sum = x;
  for (let k = 3; k < 300; k += 2) sum += term *= (x * x) / k;
  return 0.5 + normalDensity(x) * sum;
}

export type GeluForm = "exact" | "tanh";

export const gelu = (x: Reals, form: GeluForm): Reals => x.map((value) => value * geluShare(value, form));

/** The factor of x in gelu. */
export const geluShare = (
  x: number,
  form: GeluForm,
): number => (form === "exact" ? cumulativeNormal(x) : 1 / (1 + Math.exp(-2 * tanhArgument(x))));

const tanhArgument = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

/** x times the slope of geluShare(). */
export function geluRise(x: number, form: GeluForm): number {
  if (form === "exact") return x * normalDensity(x);
  const share = geluShare(x, form);
  return x * 2 * share * (1 - share) * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x * x);
}

export const geluBackward = (x: Reals, form: GeluForm, dy: Reals): Reals =>
  x.map((value, i) => dy[i]! * (geluShare(value, form) + geluRise(value, form)));

export const tanh = (x: Reals): Reals => x.map(Math.tanh);

export const tanhBackward = (x: Reals, dy: Reals): Reals => x.map((value, i) => dy[i]! / Math.cosh(value) ** 2);
