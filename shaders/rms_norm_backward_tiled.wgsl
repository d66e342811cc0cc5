// dx (+)= r * (w * dy - x * r^2 * mean(x * w * dy)), row by row, with r = inverse_rms: for GPUs with workgroup memory.
//   x, dy, dx: (N, C); weight: (C); inverse_rms: (N). Added to dx when ACCUMULATE.
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
    sum += load_x(start + c) * load_weight(c) * load_dy(start + c);
  }
  let r = inverse_rms[row];
  let shrink = workgroup_sum(lane, sum_of(sum)) * r * r / f32(params.C);
  for (var c = lane; c < width; c += ${WORKGROUP}u) {
    let i = start + c;
    let value = r * (load_weight(c) * load_dy(i) - load_x(i) * shrink);
#if ${ACCUMULATE}
    store_dx(i, load_dx(i) + value);
#else
    store_dx(i, value);
#endif
  }
}
