// dy = scale * y * (dy - sum of y * dy) in place over the keys that each row sees, 0 beyond: for GPUs with workgroup
// memory.
// y, dy_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again: of every head of every sequence.
// documents: (B, T, 2).
//   A row sees its first row % T + 1 numbers. WINDOWED: `end` numbers from `start`, as lib/attention_window has it.
// One workgroup per row; a tree adds up the threads' sums in f32.
// Launch: n workgroups. Any n, T: threads stride. Numbers beyond are not read.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.n) { return; }
#if ${WINDOWED}
  let seen = keys_seen(row / (params.T * params.H), row % params.T);
  let start = row * params.T + seen.x;
  let end = seen.y;
#else
  let start = row * params.T;
  let end = row % params.T + 1u;
#endif
  var own_sum = 0.0;
  for (var i = lane; i < end; i += ${WORKGROUP}u) { own_sum = fma(y[start + i], dy_inout[start + i], own_sum); }
  let sum = workgroup_sum(lane, own_sum);
  for (var i = lane; i < params.T; i += ${WORKGROUP}u) {
    var dx = 0.0;
    if (i < end) { dx = params.scale * y[start + i] * (dy_inout[start + i] - sum); }
#if ${WINDOWED}
    dy_inout[row * params.T + (seen.x + i) % params.T] = dx;
#else
    dy_inout[start + i] = dx;
#endif
  }
}
