// y = y + bias, row by row, in place.
//   y: (N, C); bias: (C). C counts Vectors.
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  store_y_inout(i, load_y_inout(i) + load_bias(i % params.C));
}
