/**
 * Summand that leaves a number below 2^51 no bits for a fraction: the sum is rounded to nearest even, as all sums are.
 */
const NO_FRACTION = 1.5 * 2 ** 52;

/** The integer nearest to x, ties to even. For |x| < 2^51. */
export const roundToEven = (x: number): number => x + NO_FRACTION - NO_FRACTION;
