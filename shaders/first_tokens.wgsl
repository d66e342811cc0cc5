// y[b] = x[b T]: the row of the first token of each sequence.
//   x: (B * T, C); y: (B, C). C counts Vectors.
// One thread per Vector of y, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let sequence = i / params.C;
  store_y(i, load_x(sequence * params.T * params.C + (i - sequence * params.C)));
}
