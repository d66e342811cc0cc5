// y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, row by row: for GPUs with workgroup memory.
// x, y: (N, C); weight, bias: (C); statistics: (N) mean and inverse deviation, kept for the backward pass. One
// workgroup per row, neighbouring threads read neighbouring numbers; a tree adds up the threads' sums in f32. The
// variance is the mean of (x - mean)^2, in a second pass, so that a large mean costs it no digits. Launch: N
// workgroups. Any N, C: threads stride.

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
  for (var c = lane; c < width; c += ${WORKGROUP}u) { sum += load_x(start + c); }
  let mean = workgroup_sum(lane, sum_of(sum)) / f32(params.C);
  var squares = Vector(0.0);
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    let centred = load_x(start + c) - mean;
    squares = fma(centred, centred, squares);
  }
  let scale = 1.0 / sqrt(workgroup_sum(lane, sum_of(squares)) / f32(params.C) + params.eps);
  if (lane == 0u) { statistics[row] = vec2f(mean, scale); }
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    store_y(start + c, (load_x(start + c) - mean) * scale * load_weight(c) + load_bias(c));
  }
}
