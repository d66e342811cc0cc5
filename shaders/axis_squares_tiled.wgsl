// squares[j] = sum of x^2 over row j, or over column j unless ROWS: for GPUs with workgroup memory.
// x: (rows, columns). If COUNTED, the matrix is compact and step_inputs.count is its number of columns, or of rows
// unless ROWS. squares: (layers, sums): each of the launch's y layers takes a part of the other axis, and their results
// are added up by norm_ratio and growth_limiter. A workgroup has SUMS sums of LANES threads each, neighbours of which
// read neighbouring numbers; a tree adds up a sum's threads. Launch: (ceil(sums / SUMS), layers).

var<workgroup> partial: array<f32, ${SUMS * LANES}>;

@compute @workgroup_size(${SUMS * LANES})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
#if ${ROWS}
  let own = lane / ${LANES}u;
  let part = lane % ${LANES}u;
  let place = lane;
  let stride = 1u;
  let sums = params.rows;
#if ${COUNTED}
  let length = step_inputs.count;
#else
  let length = params.columns;
#endif
#else
  let own = lane % ${SUMS}u;
  let part = lane / ${SUMS}u;
  let place = lane;
  let stride = ${SUMS}u;
  let sums = params.columns;
#if ${COUNTED}
  let length = step_inputs.count;
#else
  let length = params.rows;
#endif
#endif
  let j = group.x * ${SUMS}u + own;
  let share = (length + groups.y - 1u) / groups.y;
  let end = min((group.y + 1u) * share, length);
  var sum = 0.0;
  if (j < sums) {
    for (var i = group.y * share + part; i < end; i += ${LANES}u) {
#if ${ROWS}
      let value = x[j * length + i];
#else
      let value = x[i * params.columns + j];
#endif
      sum = fma(value, value, sum);
    }
  }
  partial[place] = sum;
  workgroupBarrier();
  for (var width = ${LANES}u / 2u; width > 0u; width /= 2u) {
    if (part < width) { partial[place] += partial[place + width * stride]; }
    workgroupBarrier();
  }
  if (part == 0u && j < sums) { squares[group.y * sums + j] = partial[place]; }
}
