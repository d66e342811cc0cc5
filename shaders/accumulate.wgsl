// out = x, or out += x when ACCUMULATE: the gradient of an addition.
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
#if ${ACCUMULATE}
  store_out(i, load_out(i) + load_x(i));
#else
  store_out(i, load_x(i));
#endif
}
