// y = tanh(x), element by element: a series near 0, else (1 - e) / (1 + e) with e = exp(-2 |x|), which cannot overflow.
// The tanh of WGSL may: it is specified by way of sinh and cosh. One thread per Vector, n of them. Launch:
// ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let value = load_x(i);
  let square = value * value;
  // Four terms after x: the next is below 1e-8 of the sum.
  var series = Vector(62.0 / 2835.0);
  series = fma(series, square, Vector(-17.0 / 315.0));
  series = fma(series, square, Vector(2.0 / 15.0));
  series = fma(series, square, Vector(-1.0 / 3.0));
  let e = exp(-2.0 * abs(value));
  let ratio = (1.0 - e) / (1.0 + e);
  let far = select(ratio, -ratio, value < Vector(0.0));
  store_y(i, select(far, fma(value * square, series, value), abs(value) < Vector(0.25)));
}
