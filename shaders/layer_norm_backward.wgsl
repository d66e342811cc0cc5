// dx (+)= r * (g - mean(g) - n * mean(g * n)), row by row, with g = weight * dy and n = (x - mean) * r, the normalised
// x; r is the inverse deviation. Added to dx when ACCUMULATE.
//   x, dy, dx: (N, C); weight: (C); statistics: (N) mean and r.
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
  let mean = statistics[row].x;
  let r = statistics[row].y;
  var sum = Vector(0.0);
  var product = Vector(0.0);
  for (var c = 0u; c < width; c++) {
    let g = load_weight(c) * load_dy(start + c);
    sum += g;
    product += g * ((load_x(start + c) - mean) * r);
  }
  let shift = sum_of(sum) / f32(params.C);
  let shrink = sum_of(product) / f32(params.C);
  for (var c = 0u; c < width; c++) {
    let i = start + c;
    let value = r * (load_weight(c) * load_dy(i) - shift - (load_x(i) - mean) * r * shrink);
#if ${ACCUMULATE}
    store_dx(i, load_dx(i) + value);
#else
    store_dx(i, value);
#endif
  }
}
