// sums (+)= sum over rows of dy, column by column: the gradient of a vector that is added to every row; or of dy times
// the normalised x (RMS_NORM, LAYER_NORM), if every normalised row is multiplied with it. Added to sums when
// ACCUMULATE.
//   x, dy: (N, C); statistics: (N), numbers that normalise a row of x; sums: (C).
// One thread per Vector of columns, no barriers. Launch: ceil(C / WIDTH / WORKGROUP) workgroups. Any C; N below 65 535.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let column = thread_index(group, groups, lane);
  let width = params.C / ${WIDTH}u;
  if (column >= width) { return; }
  var sum = Vector(0.0);
  for (var row = 0u; row < params.n; row++) {
    let i = row * width + column;
#if ${LAYER_NORM}
    sum += load_dy(i) * ((load_x(i) - statistics[row].x) * statistics[row].y);
#elif ${RMS_NORM}
    sum += load_dy(i) * load_x(i) * statistics[row];
#else
    sum += load_dy(i);
#endif
  }
#if ${ACCUMULATE}
  store_sums(column, load_sums(column) + sum);
#else
  store_sums(column, sum);
#endif
}
