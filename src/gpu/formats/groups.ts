/**
 * Consecutive numbers of the flattened matrix that share a scale in int8 and nf4, as in QLoRA (Dettmers et al., 2023).
 */
export const GROUP = 64;

/** The group of number i. A shift, because it runs for every number of a model. */
export const groupOf = (i: number): number => i >>> 6;

/**
 * The largest absolute value of each group; not finite where one of its numbers is not. A last group may be partial.
 * Bits of positive numbers are ordered as the numbers are, with infinity and NaN above them all, and the larger of two
 * integers needs no branch.
 */
export function largestOfGroups(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length),
    largest = new Int32Array(Math.ceil(values.length / GROUP));
  for (let group = 0; group < largest.length; group++) {
    const end = Math.min(GROUP * (group + 1), values.length);
    let most = 0;
    for (let i = GROUP * group; i < end; i++) {
      const more = (bits[i]! & 0x7fffffff) - most;
      most += more & ~(more >> 31);
    }
    largest[group] = most;
  }
  return new Float32Array(largest.buffer);
}
