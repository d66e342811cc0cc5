// dx (+)= r * (g - mean(g) - n * mean(g * n)), row by row, with g = weight * dy and n = (x - mean) * r, the normalised
// x; r is the inverse deviation: for GPUs with workgroup memory.
//   x, dy, dx: (N, C); weight: (C); statistics: (N) mean and r. Added to dx when ACCUMULATE.
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
  let mean = statistics[row].x;
  let r = statistics[row].y;
  var sum = Vector(0.0);
  var product = Vector(0.0);
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    let g = load_weight(c) * load_dy(start + c);
    sum += g;
    product += g * ((load_x(start + c) - mean) * r);
  }
  let shift = workgroup_sum(lane, sum_of(sum)) / f32(params.C);
  let shrink = workgroup_sum(lane, sum_of(product)) / f32(params.C);
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    let i = start + c;
    let value = r * (load_weight(c) * load_dy(i) - shift - (load_x(i) - mean) * r * shrink);
#if ${ACCUMULATE}
    store_dx(i, load_dx(i) + value);
#else
    store_dx(i, value);
#endif
  }
}
