// y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, row by row; the variance is the mean of (x - mean)^2.
//   x, y: (N, C); weight, bias: (C); statistics: (N) mean and inverse deviation, kept for the backward pass.
// One thread per row, no barriers; three passes over it, so that a large mean costs the variance no digits.
// Launch: ceil(N / WORKGROUP) workgroups. Any N, C.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = thread_index(group, groups, lane);
  if (row >= params.n) { return; }
  let width = params.C / ${WIDTH}u;
  let start = row * width;
  var sum = Vector(0.0);
  for (var c = 0u; c < width; c++) { sum += load_x(start + c); }
  let mean = sum_of(sum) / f32(params.C);
  var squares = Vector(0.0);
  for (var c = 0u; c < width; c++) {
    let centred = load_x(start + c) - mean;
    squares = fma(centred, centred, squares);
  }
  let scale = 1.0 / sqrt(sum_of(squares) / f32(params.C) + params.eps);
  statistics[row] = vec2f(mean, scale);
  for (var c = 0u; c < width; c++) {
    store_y(start + c, (load_x(start + c) - mean) * scale * load_weight(c) + load_bias(c));
  }
}
