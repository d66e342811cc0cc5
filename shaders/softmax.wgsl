// x = softmax(x) in place over the keys that each row sees, 0 beyond: attention's probabilities.
// x_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again: of every head of every sequence.
// documents: (B, T, 2).
// A row sees its first row % T + 1 numbers. WINDOWED: `end` numbers from `start`, as lib/attention_window has it. One
// thread per row, no barriers. Launch: ceil(n / WORKGROUP) workgroups. Any n, T. Numbers beyond are not read. Sums in
// f32.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = thread_index(group, groups, lane);
  if (row >= params.n) { return; }
#if ${WINDOWED}
  let seen = keys_seen(row / (params.T * params.H), row % params.T);
  let start = row * params.T + seen.x;
  let end = seen.y;
#else
  let start = row * params.T;
  let end = row % params.T + 1u;
#endif
  var highest = x_inout[start];
  for (var i = 1u; i < end; i++) { highest = max(highest, x_inout[start + i]); }
  var sum = 0.0;
  for (var i = 0u; i < end; i++) {
    let e = exp(x_inout[start + i] - highest);
    x_inout[start + i] = e;
    sum += e;
  }
  for (var i = 0u; i < end; i++) { x_inout[start + i] /= sum; }
#if ${WINDOWED}
  for (var i = end; i < params.T; i++) { x_inout[row * params.T + (seen.x + i) % params.T] = 0.0; }
#else
  for (var i = end; i < params.T; i++) { x_inout[start + i] = 0.0; }
#endif
}
