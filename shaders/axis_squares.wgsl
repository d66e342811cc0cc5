// squares[j] = sum of x^2 over row j, or over column j unless ROWS.
// x: (rows, columns). If COUNTED, the matrix is compact and step_inputs.count is its number of columns, or of rows
// unless ROWS. One thread per sum, no barriers: a part of the other axis in each of the launch's y layers, whose
// results are added up by norm_ratio.wgsl and growth_limiter.wgsl. squares: (layers, sums). Launch: (ceil(sums /
// WORKGROUP), layers, 1).

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let j = group.x * ${WORKGROUP}u + lane;
  var sum = 0.0;
#if ${ROWS}
#if ${COUNTED}
  let columns = step_inputs.count;
#else
  let columns = params.columns;
#endif
  if (j >= params.rows) { return; }
  let share = (columns + groups.y - 1u) / groups.y;
  let start = j * columns;
  for (var i = group.y * share; i < min((group.y + 1u) * share, columns); i++) {
    sum = fma(x[start + i], x[start + i], sum);
  }
  squares[group.y * params.rows + j] = sum;
#else
#if ${COUNTED}
  let rows = step_inputs.count;
#else
  let rows = params.rows;
#endif
  if (j >= params.columns) { return; }
  let share = (rows + groups.y - 1u) / groups.y;
  for (var i = group.y * share; i < min((group.y + 1u) * share, rows); i++) {
    let value = x[i * params.columns + j];
    sum = fma(value, value, sum);
  }
  squares[group.y * params.columns + j] = sum;
#endif
}
