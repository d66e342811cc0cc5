// metrics[schedule.metrics_row] = (sum of the row losses * loss_scale, gradient norm, 1 if the update was skipped).
//   loss: (n) one for each token; metrics: (rows, 3).
// One thread, UNROLL losses a turn. Launch: 1 workgroup.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> schedule: Schedule;
@group(0) @binding(1) var<storage, read> clip: Clip;
@group(0) @binding(2) var<storage, read> loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> metrics: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  let unrolled = params.n / ${UNROLL}u * ${UNROLL}u;
  for (var i = 0u; i < unrolled; i += ${UNROLL}u) { sum += ${LOSSES}; }
  for (var i = unrolled; i < params.n; i++) { sum += loss[i]; }
  let row = schedule.metrics_row * 3u;
  metrics[row] = sum * schedule.loss_scale;
  metrics[row + 1u] = clip.norm;
  metrics[row + 2u] = f32(clip.skip);
}
