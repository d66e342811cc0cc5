// parameter -= lr lr_scale step_factor delta, with decoupled weight decay: the last step of updates that are computed
// in several. A delta that is not finite leaves its element alone, and all are left alone when clip.skip is set. One
// thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || clip.skip != 0u) { return; }
  let change = schedule.learning_rate * params.lr_scale * step_inputs.step_factor * delta[i];
  let weight = load_parameter(i);
  put_weight(i, select(weight, moved(weight, change), is_finite(delta[i])));
}
