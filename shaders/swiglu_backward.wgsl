// Backward of y = silu(gate) * up, in place: gate becomes dgate and up becomes dup.
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let g = load_gate_inout(i);
  let s = sigmoid(g);
  let d = load_dy(i);
  store_gate_inout(i, d * load_up_inout(i) * s * (1.0 + g * (1.0 - s)));
  store_up_inout(i, d * g * s);
}
