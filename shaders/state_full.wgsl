// The state-full rule on a dense tensor x of gradients, n Vectors of which min(n, step_inputs.count * stride / WIDTH)
// are in use: direction = scale * rule(clip.scale * x), and x = -x_scale * x if HAS_DIRECTION, else x = scale *
// rule(clip.scale * x) itself. Moments count as 0 when step_inputs.restart is set; they start at step_inputs.first. An
// x that is not finite keeps its moments and gives a direction that is not finite, so that nothing is updated by it.
// When clip.skip is set all moments stay, or are 0 at a restart, which is set at one step only. One thread per element
// of Vector. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (
    i >= params.n || i * ${WIDTH}u >= step_inputs.count * params.stride ||
    (clip.skip != 0u && step_inputs.restart == 0u)
  ) {
    return;
  }
  let slot = step_inputs.first / ${WIDTH}u + i;
  let raw = x[i];
  let good = select(Booleans(false), is_finite(raw), clip.skip == 0u);
  var old = Moments(a[slot], Vector(0.0));
#if ${HAS_B}
  old.b = b[slot];
#endif
  if (step_inputs.restart != 0u) { old = Moments(Vector(0.0), Vector(0.0)); }
  let step = rule_step(raw * clip.scale, old);
  a[slot] = select(old.a, step.moments.a, good);
#if ${HAS_B}
  b[slot] = select(old.b, step.moments.b, good);
#endif
#if ${HAS_DIRECTION}
  x[i] = -params.x_scale * raw;
  direction[i] = select(raw, params.scale * step.direction, good);
#else
  x[i] = select(raw, params.scale * step.direction, good);
#endif
}
