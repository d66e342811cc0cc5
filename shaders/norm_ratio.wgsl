// The scale of each row or column of the residual.
// RATIO (Fira, APOLLO): ratio[j] = norm of direction[j] / (norm of x[j] + 1e-8), both divided by `scale` first, x
// clipped
//   otherwise: ratio[j] = 1 / (sqrt(mean square of x[j]) + 1e-8), over `length` elements
//   direction_squares, x_squares: (layers, n) sums of squares, from axis_squares.wgsl. SINGLE: all `layers` of
//   them are added up, for one ratio that all have.
// One thread per j. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let j = thread_index(group, groups, lane);
  if (j >= params.n) { return; }
  var x_sum = 0.0;
  var direction_sum = 0.0;
#if ${SINGLE}
  for (var i = 0u; i < params.layers; i++) {
    x_sum += x_squares[i];
#if ${HAS_DIRECTION_SQUARES}
    direction_sum += direction_squares[i];
#endif
  }
#else
  for (var layer = 0u; layer < params.layers; layer++) {
    x_sum += x_squares[layer * params.n + j];
#if ${HAS_DIRECTION_SQUARES}
    direction_sum += direction_squares[layer * params.n + j];
#endif
  }
#endif
#if ${HAS_DIRECTION_SQUARES}
  ratio[j] = (sqrt(direction_sum) / params.scale) / (clip.scale * sqrt(x_sum) / params.scale + 1e-8);
#else
  ratio[j] = 1.0 / (sqrt(x_sum / params.length) + 1e-8);
#endif
}
