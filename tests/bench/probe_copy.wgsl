// out = x, far larger than any cache: only the memory is busy.
// One thread per four vectors, n of them; neighbours read neighbours. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  out[i] = x[i];
  out[i + params.n] = x[i + params.n];
  out[i + 2u * params.n] = x[i + 2u * params.n];
  out[i + 3u * params.n] = x[i + 3u * params.n];
}
