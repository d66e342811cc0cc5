// x[row, column] *= factor * ratio[row], or ratio[column] unless ROWS: the residual, scaled by its norms. In place.
// x: (n / columns, columns). factor is that of growth_limiter.wgsl if LIMITED, else params.factor /
// step_inputs.step_factor, because apply.wgsl multiplies by it. If ACTIVE_SUBSET_ONLY, only in steps where no element
// is state-full. One thread per element, n of them. Launch: ceil(n / WORKGROUP) workgroups.

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
  let row = i / params.columns;
#if ${ROWS}
  let own = ratio[row];
#else
  let own = ratio[i - row * params.columns];
#endif
#if ${HAS_FACTOR}
  x[i] *= own * factor[0];
#else
  x[i] *= own * (params.factor / step_inputs.step_factor);
#endif
}
