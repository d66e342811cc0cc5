// metrics[schedule.metrics_row] = (sum of the row losses * loss_scale, gradient norm, 1 if the update was skipped): for
// GPUs with workgroup memory.
//   loss: (n) one for each token; metrics: (rows, 3).
// One workgroup, whose threads stride; a tree adds up their sums in f32. Launch: 1 workgroup. Any n.

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  var own_sum = 0.0;
  for (var i = lane; i < params.n; i += ${WORKGROUP}u) { own_sum += loss[i]; }
  let sum = workgroup_sum(lane, own_sum);
  if (lane == 0u) {
    let row = schedule.metrics_row * 3u;
    metrics[row] = sum * schedule.loss_scale;
    metrics[row + 1u] = clip.norm;
    metrics[row + 2u] = f32(clip.skip);
  }
}
