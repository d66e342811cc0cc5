// y = silu(gate) * up, element by element; silu(x) = x * sigmoid(x).
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let g = load_gate(i);
  store_y(i, g * sigmoid(g) * load_up(i));
}
