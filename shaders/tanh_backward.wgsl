// Backward of y = tanh(x), in place: dy becomes dx = dy * (1 - y^2).
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let value = load_y(i);
  // The product form of 1 - y^2 keeps the digits of y near 1.
  store_dy_inout(i, load_dy_inout(i) * ((1.0 - value) * (1.0 + value)));
}
