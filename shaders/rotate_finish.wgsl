// Moments in a new basis, unless there are none: step_inputs.restart, or with SECOND no step done so far.
//   m = mean;  with SECOND v = |c2 (spread + (mean / c1)^2)|, c1 and c2 the bias corrections of the steps done so far
// One thread per Vector, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || step_inputs.restart != 0u) { return; }
#if ${SECOND}
  let correction1 = past_correction(step_inputs.bias_correction1, params.beta1, params.complement1);
  let correction2 = past_correction(step_inputs.bias_correction2, params.beta2, params.complement2);
  if (correction1 == 0.0 || correction2 == 0.0) { return; }
  let corrected = mean[i] / correction1;
  v[i] = abs(correction2 * (spread[i] + corrected * corrected));
#endif
  m[i] = mean[i];
}
