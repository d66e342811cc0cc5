// x = factor * sign(x), or factor * clip.scale * x, in place: the state-free part of an update that is computed in
// several passes. It is divided by step_inputs.step_factor, because apply.wgsl multiplies by it. If ACTIVE_SUBSET_ONLY,
// only in steps where no element is state-full. One thread per Vector, n of them. Launch: ceil(n /
// WORKGROUP) workgroups. Numbers that are not finite stay so.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
#if ${ACTIVE_SUBSET_ONLY}
  if (step_inputs.count > 0u) { return; }
#endif
#if ${FREE_SIGN}
  x[i] = select(x[i], params.factor / step_inputs.step_factor * sign(x[i]), is_finite(x[i]));
#elif ${FREE_SGD}
  x[i] *= params.factor / step_inputs.step_factor * clip.scale;
#else
  x[i] = select(x[i], Vector(0.0), is_finite(x[i]));
#endif
}
