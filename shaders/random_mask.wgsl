// mask: bit i is set for `step_inputs.count` of the n elements of a matrix, a uniformly random choice keyed by (seed,
// purpose, step_inputs.drawn). Element i is chosen if a keyed permutation of 0 … n - 1 sends it below the count:
// exactly so many, and nothing to sort. The permutation is a Feistel network on 2 HALF bits, applied again until the
// result is below n (Black & Rogaway, 2002). One thread per word of 32 elements. Launch: ceil(words / WORKGROUP)
// workgroups.

const HALF_MASK = (1u << ${HALF}u) - 1u;

fn mix(x: u32) -> u32 {
  var h = x;
  h = (h ^ (h >> 16u)) * 0x7feb352du;
  h = (h ^ (h >> 15u)) * 0x846ca68bu;
  return h ^ (h >> 16u);
}

fn permute(i: u32, key: vec4u) -> u32 {
  var left = i >> ${HALF}u;
  var right = i & HALF_MASK;
  for (var round = 0u; round < 6u; round++) {
    let next = left ^ (mix(right + key[round % 4u] + round * 0x9e3779b9u) & HALF_MASK);
    left = right;
    right = next;
  }
  return (left << ${HALF}u) | right;
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = thread_index(group, groups, lane);
  if (word >= params.words) { return; }
  let key = philox(vec4u(0u, 0u, step_inputs.drawn, 0u), vec2u(params.seed, params.purpose));
  var bits = 0u;
  for (var bit = 0u; bit < 32u; bit++) {
    let i = word * 32u + bit;
    if (i >= params.n) { break; }
    var place = permute(i, key);
    while (place >= params.n) { place = permute(place, key); }
    bits |= select(0u, 1u << bit, place < step_inputs.count);
  }
  mask[word] = bits;
}
