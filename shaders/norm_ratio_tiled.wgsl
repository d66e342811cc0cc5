// norm_ratio for GPUs with workgroup memory: ratio[j] for the n rows or columns of which x_squares and
// direction_squares (layers, n) are sums of squares; SINGLE: one ratio for all, of layers numbers of each, found by one
// workgroup whose threads stride and a tree. Launch: ceil(n / WORKGROUP) workgroups, or 1 if SINGLE.

fn ratio_of(x_sum: f32, direction_sum: f32) -> f32 {
#if ${HAS_DIRECTION_SQUARES}
  return (sqrt(direction_sum) / params.scale) / (clip.scale * sqrt(x_sum) / params.scale + 1e-8);
#else
  return 1.0 / (sqrt(x_sum / params.length) + 1e-8);
#endif
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  var x_sum = 0.0;
  var direction_sum = 0.0;
#if ${SINGLE}
  for (var i = lane; i < params.layers; i += ${WORKGROUP}u) {
    x_sum += x_squares[i];
#if ${HAS_DIRECTION_SQUARES}
    direction_sum += direction_squares[i];
#endif
  }
  let own = ratio_of(workgroup_sum(lane, x_sum), workgroup_sum(lane, direction_sum));
  for (var j = lane; j < params.n; j += ${WORKGROUP}u) { ratio[j] = own; }
#else
  let j = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
  if (j >= params.n) { return; }
  for (var layer = 0u; layer < params.layers; layer++) {
    x_sum += x_squares[layer * params.n + j];
#if ${HAS_DIRECTION_SQUARES}
    direction_sum += direction_squares[layer * params.n + j];
#endif
  }
  ratio[j] = ratio_of(x_sum, direction_sum);
#endif
}
