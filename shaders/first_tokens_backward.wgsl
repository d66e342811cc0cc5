// dx[b T] = dy[b] and 0 in all other rows; with ACCUMULATE dy is added and the others stay.
//   dx: (B * T, C); dy: (B, C). C counts Vectors.
// One thread per Vector of dx, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let row = i / params.C;
  let sequence = row / params.T;
  var value = Vector(0.0);
  if (row == sequence * params.T) { value = load_dy(sequence * params.C + (i - row * params.C)); }
#if ${ACCUMULATE}
  store_dx(i, load_dx(i) + value);
#else
  store_dx(i, value);
#endif
}
