// The factors of the products in a rotation of second moments:
//   spread = v / c2 - (m / c1)^2, the variances;  weights = turn^2;  c1, c2: bias corrections of the steps done so far
//   m, v, spread: (spreads); turn, weights: (n - spreads); counted in Vectors.
// One thread per element of spread, then one per element of weights. n in all. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  if (i >= params.spreads) {
    let at = i - params.spreads;
    weights[at] = turn[at] * turn[at];
    return;
  }
  let mean = m[i] / past_correction(step_inputs.bias_correction1, params.beta1, params.complement1);
  spread[i] = v[i] / past_correction(step_inputs.bias_correction2, params.beta2, params.complement2) - mean * mean;
}
