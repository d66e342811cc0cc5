/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A number is a pure function of (seed, purpose, step, index), so nothing random is ever stored: it is drawn again.
 */
export type Words4 = [number, number, number, number];

const MULTIPLIER_0 = 0xd2511f53, MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9, WEYL_1 = 0xbb67ae85;

/** The high 32 bits of the 64-bit product of two u32, by 16-bit halves: doubles hold only 53 bits. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle & 0xffff) + aLow * bHigh;
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/** Ten rounds of Philox on a counter of four and a key of two u32. */
export function philox4x32(counter: Words4, key: [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0), low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2), low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** FNV-1a of a purpose's name: keeps the streams of different purposes apart. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

/** The key of the stream (seed, purpose). */
export const purposeKey = (seed: number, purpose: string): [number, number] => [seed >>> 0, hash(purpose)];

/** Four u32 of the stream (seed, purpose) at (step, index). `index` may exceed 2^32. */
export function randomWords(seed: number, purpose: string, step: number, index: number): Words4 {
  return philox4x32([index >>> 0, Math.floor(index / 0x1_0000_0000) >>> 0, step >>> 0, 0], purposeKey(seed, purpose));
}

/** A double in [0, 1) with 53 random bits. */
export function uniform(seed: number, purpose: string, step: number, index: number): number {
  const [high, low] = randomWords(seed, purpose, step, index);
  return ((high >>> 5) * 0x400_0000 + (low >>> 6)) / 0x20_0000_0000_0000;
}

/** Fills `out` with normal(0, deviation) numbers by the Box-Muller transform: two from each block of random words. */
export function fillNormal(out: Float32Array, deviation: number, seed: number, purpose: string): void {
  for (let i = 0; i < out.length; i += 2) {
    const [a, b] = randomWords(seed, purpose, 0, i >> 1);
    const radius = deviation * Math.sqrt(-2 * Math.log((a + 1) / 0x1_0000_0000)); // a + 1: never log(0)
    const angle = (2 * Math.PI * b) / 0x1_0000_0000;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
  }
}
