/** Consecutive numbers of the flattened matrix that share a scale in int8 and nf4, as in QLoRA (Dettmers et al., 2023). */
export const GROUP = 64;

/** The group of number i. A shift: this is asked for every number of a model. */
export const groupOf = (i: number): number => i >>> 6;

/** The largest absolute value of each group of finite numbers. A last group may be partial. */
export function largestOfGroups(values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const largest = new Float32Array(Math.ceil(values.length / GROUP));
  for (let i = 0; i < values.length; i++) {
    const group = groupOf(i), absolute = Math.abs(values[i]!);
    if (absolute > largest[group]!) largest[group] = absolute;
  }
  return largest;
}
