// state_full.wgsl with moments in eight bits, see lib/eight_bit.wgsl: for GPUs with workgroup memory. step_inputs.first
// is a multiple of 256. One workgroup of 64 threads per block of 256 elements, four a thread; a tree finds the largest
// moments. Launch: ceil(n / 256) workgroups. Any n, which counts elements.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = group.y * groups.x + group.x;
  let limit = min(params.n, step_inputs.count * params.stride);
  if (block * 256u >= limit || (clip.skip != 0u && step_inputs.restart == 0u)) { return; }
  let base = (step_inputs.first / 256u + block) * BLOCK_WORDS;
  let largest_a = bitcast<f32>(a[base]);
  var largest_b = 0.0;
#if ${HAS_B}
  largest_b = bitcast<f32>(b[base]);
#endif
  let first = block * 256u + lane * 4u;
  let raw = four_at(first, limit);
  let step = guarded_step(raw, old_moments(base + 1u + lane, largest_a, largest_b));
  // The barriers inside also let everybody read the old largest values before they are replaced.
  let new_a = workgroup_max(lane, largest_of(step.moments.a));
  a[base + 1u + lane] = quantize(step.moments.a, new_a, 0u);
#if ${HAS_B}
  let new_b = workgroup_max(lane, largest_of(step.moments.b));
  b[base + 1u + lane] = quantize(step.moments.b, new_b, 256u);
#endif
  put_four(first, limit, raw, step.direction);
  if (lane == 0u) {
    a[base] = bitcast<u32>(new_a);
#if ${HAS_B}
    b[base] = bitcast<u32>(new_b);
#endif
  }
}
