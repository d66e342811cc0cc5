// dy = scale * y * (dy - sum of y * dy) in place over the first row % T + 1 numbers of each row, 0 beyond: for GPUs with workgroup
// memory.
//   y, dy_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again.
// One workgroup per row; a tree adds up the threads' sums in f32.
// Launch: n workgroups. Any n, T: threads stride. Numbers beyond are not read.

struct Params { n: u32, T: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy_inout: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.n) { return; }
  let start = row * params.T;
  let end = row % params.T + 1u;
  var own_sum = 0.0;
  for (var i = lane; i < end; i += ${WORKGROUP}u) { own_sum = fma(y[start + i], dy_inout[start + i], own_sum); }
  let sum = workgroup_sum(lane, own_sum);
  for (var i = lane; i < params.T; i += ${WORKGROUP}u) {
    var dx = 0.0;
    if (i < end) { dx = params.scale * y[start + i] * (dy_inout[start + i] - sum); }
    dy_inout[start + i] = dx;
  }
}
