// metrics[schedule.metrics_row] = (sum of the row losses * loss_scale, gradient norm, 1 if the update was skipped).
//   loss: (n) one for each token; metrics: (rows, 3).
// One thread, UNROLL losses a turn. Launch: 1 workgroup.

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  let unrolled = params.n / ${UNROLL}u * ${UNROLL}u;
  for (var i = 0u; i < unrolled; i += ${UNROLL}u) {
    var part = loss[i];
#for u in 1..UNROLL
    part += loss[i + ${u}u];
#end
    sum += part;
  }
  for (var i = unrolled; i < params.n; i++) { sum += loss[i]; }
  let row = schedule.metrics_row * 3u;
  metrics[row] = sum * schedule.loss_scale;
  metrics[row + 1u] = clip.norm;
  metrics[row + 2u] = f32(clip.skip);
}
