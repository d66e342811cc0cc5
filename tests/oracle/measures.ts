export const normOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
};

/** ‖actual − expected‖ / max(‖expected‖, floor). NaN stays NaN, which no tolerance passes. */
export function relativeL2(actual: ArrayLike<number>, expected: ArrayLike<number>, floor: number): number {
  if (actual.length !== expected.length) return Infinity;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) sum += (actual[i]! - expected[i]!) ** 2;
  return Math.sqrt(sum) / Math.max(normOf(expected), floor);
}

/**
 * Largest difference; what stands at padded positions depends on how masked rows are treated, so they do not count.
 * Logits of classes have no positions.
 */
export function largestDifference(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  mask: readonly (readonly number[])[] | undefined,
): number {
  const counts = mask && actual.length % mask.flat().length === 0 ? mask.flat() : undefined;
  const width = actual.length / (counts?.length ?? 1);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (counts && counts[Math.floor(i / width)] === 0) continue;
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}
