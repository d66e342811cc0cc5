// basis = candidate where good is 1; otherwise basis stays, bit for bit.
//   candidate, basis: n elements of Vector; good: (1).
// One thread per element. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || good[0] == 0u) { return; }
  basis[i] = candidate[i];
}
