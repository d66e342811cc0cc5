// chosen[slot] = gradient[i] for the state-full elements i of a matrix, in row-major order. PER_ROW: selection has a
// word for each 16 rows; else see lib/selection.wgsl. One thread per element, n of them, no vectors. Launch: ceil(n /
// WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let here = selected(i, params.columns, step_inputs.count);
  if (here.bits != 0u) { chosen[here.slot] = gradient[i]; }
}
