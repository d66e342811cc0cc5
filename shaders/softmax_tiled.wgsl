// x = softmax(x) in place over the keys that each row sees, 0 beyond: for GPUs with workgroup memory.
// x_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again: of every head of every sequence.
// documents: (B, T, 2).
//   A row sees its first row % T + 1 numbers. WINDOWED: `end` numbers from `start`, as lib/attention_window has it.
// One workgroup per row: one pass of reading keeps a running maximum and sum in each thread, a second one writes.
// Launch: n workgroups. Any n, T: threads stride. Numbers beyond are not read. Sums in f32, by a tree of fixed shape.

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
  var own_highest = -1e30;
  var own_sum = 0.0;
  for (var i = lane; i < end; i += ${WORKGROUP}u) {
    let x = x_inout[start + i];
    let next = max(own_highest, x);
    own_sum = own_sum * exp(own_highest - next) + exp(x - next);
    own_highest = next;
  }
  let highest = workgroup_max(lane, own_highest);
  let sum = workgroup_sum(lane, own_sum * exp(own_highest - highest));
  for (var i = lane; i < params.T; i += ${WORKGROUP}u) {
    var y = 0.0;
    if (i < end) { y = exp(x_inout[start + i] - highest) / sum; }
#if ${WINDOWED}
    x_inout[row * params.T + (seen.x + i) % params.T] = y;
#else
    x_inout[start + i] = y;
#endif
  }
}
