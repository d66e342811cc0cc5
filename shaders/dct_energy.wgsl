// energy[c] = sum of the squares of column c of x, or of row c with ROWS.
// x: (rows, columns); energy: (n), n the number of columns or rows. One thread per sum, eight numbers a turn: on
// llvmpipe (Mesa 22.3) a thread's loops end after 65 535 turns, without an error. Launch: ceil(n / WORKGROUP)
// workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let c = thread_index(group, groups, lane);
  if (c >= params.n) { return; }
#if ${ROWS}
  let length = params.columns;
  let start = c * params.columns;
  let stride = 1u;
#else
  let length = params.rows;
  let start = c;
  let stride = params.columns;
#endif
  var low = vec4f(0.0);
  var high = vec4f(0.0);
  let whole = length / 8u * 8u;
  var at = start;
  for (var i = 0u; i < whole; i += 8u) {
    let front = vec4f(x[at], x[at + stride], x[at + 2u * stride], x[at + 3u * stride]);
    let back = vec4f(x[at + 4u * stride], x[at + 5u * stride], x[at + 6u * stride], x[at + 7u * stride]);
    low = fma(front, front, low);
    high = fma(back, back, high);
    at += 8u * stride;
  }
  let sums = low + high;
  var sum = (sums.x + sums.y) + (sums.z + sums.w);
  for (var i = whole; i < length; i++) {
    sum = fma(x[at], x[at], sum);
    at += stride;
  }
  energy[c] = sum;
}
