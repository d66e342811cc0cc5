// state_full.wgsl with moments in eight bits, see lib/eight_bit.wgsl. A block's moments are computed twice: once to
// find the largest of them, once to quantize. step_inputs.first is a multiple of 256. One thread per block of 256
// elements, no barriers. Launch: ceil(n / 256 / WORKGROUP) workgroups. Any n, which counts elements.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = thread_index(group, groups, lane);
  let limit = min(params.n, step_inputs.count * params.stride);
  if (block * 256u >= limit || (clip.skip != 0u && step_inputs.restart == 0u)) { return; }
  let base = (step_inputs.first / 256u + block) * BLOCK_WORDS;
  let largest_a = bitcast<f32>(a[base]);
  var new_a = 0.0;
  var largest_b = 0.0;
  var new_b = 0.0;
#if ${HAS_B}
  largest_b = bitcast<f32>(b[base]);
#endif
  for (var word = 0u; word < 64u; word++) {
    let first = block * 256u + word * 4u;
    let step = guarded_step(four_at(first, limit), old_moments(base + 1u + word, largest_a, largest_b));
    new_a = max(new_a, largest_of(step.moments.a));
    new_b = max(new_b, largest_of(step.moments.b));
  }
  for (var word = 0u; word < 64u; word++) {
    let first = block * 256u + word * 4u;
    let raw = four_at(first, limit);
    let step = guarded_step(raw, old_moments(base + 1u + word, largest_a, largest_b));
    a[base + 1u + word] = quantize(step.moments.a, new_a, 0u);
#if ${HAS_B}
    b[base + 1u + word] = quantize(step.moments.b, new_b, 256u);
#endif
    put_four(first, limit, raw, step.direction);
  }
  a[base] = bitcast<u32>(new_a);
#if ${HAS_B}
  b[base] = bitcast<u32>(new_b);
#endif
}
