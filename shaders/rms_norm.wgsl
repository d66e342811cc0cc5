// y = x / rms(x) * weight, row by row; rms(x) = sqrt(mean(x^2) + eps).
//   x, y: (N, C); weight: (C); inverse_rms: (N), kept for the backward pass.
// One thread per row, no barriers. Launch: ceil(N / WORKGROUP) workgroups. Any N, C.

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
  for (var c = 0u; c < width; c++) {
    let value = load_x(start + c);
    sum = fma(value, value, sum);
  }
  let scale = 1.0 / sqrt(sum_of(sum) / f32(params.C) + params.eps);
  inverse_rms[row] = scale;
  for (var c = 0u; c < width; c++) { store_y(start + c, load_x(start + c) * scale * load_weight(c)); }
}
