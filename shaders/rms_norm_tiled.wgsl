// y = x / rms(x) * weight, row by row; rms(x) = sqrt(mean(x^2) + eps): for GPUs with workgroup memory.
//   x, y: (N, C); weight: (C); inverse_rms: (N), kept for the backward pass.
// One workgroup per row, neighbouring threads read neighbouring numbers; a tree adds up the threads' sums in f32.
// Launch: N workgroups. Any N, C: threads stride.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group.y * groups.x + group.x;
  if (row >= params.n) { return; }
  let width = params.C / ${WIDTH}u;
  let start = row * width;
  var sum = Vector(0.0);
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    let value = load_x(start + c);
    sum = fma(value, value, sum);
  }
  let scale = 1.0 / sqrt(workgroup_sum(lane, sum_of(sum)) / f32(params.C) + params.eps);
  if (lane == 0u) { inverse_rms[row] = scale; }
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    store_y(start + c, load_x(start + c) * scale * load_weight(c));
  }
}
