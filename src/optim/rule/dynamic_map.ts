/** Powers of ten that the map covers: 10^-6 … 1. */
const EXPONENTS = 7;

/**
 * The 256 values of the dynamic 8-bit data type, ascending (Dettmers et al., "8-bit Optimizers via Block-wise
 * Quantization", 2022; create_dynamic_map(signed, 7, 8) in bitsandbytes). Each decade [0.1, 1] · 10^-e has twice as
 * many values as the one below it, the midpoints of equal intervals: 1 to 64 of each sign, or 2 to 128 unsigned. 0 and
 * 1 are there too; -1 is not, the least signed value is -0.99296875. The smallest above 0 is 5.5e-7, unsigned 3.25e-7.
 */
export function dynamicMap(signed: boolean): Float32Array<ArrayBuffer> {
  const values = [0, 1];
  for (let i = 0; i < EXPONENTS; i++) {
    const decade = 10 ** (i + 1 - EXPONENTS), count = 2 ** (signed ? i : i + 1);
    for (let j = 0; j < count; j++) {
      const value = decade * (0.1 + (0.9 * (j + 0.5)) / count);
      values.push(value);
      if (signed) values.push(-value);
    }
  }
  return Float32Array.from(values).sort();
}
