// x = softmax(x) in place over the first row % T + 1 numbers of each row, 0 beyond: for GPUs with workgroup memory.
//   x_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again.
// One workgroup per row: one pass of reading keeps a running maximum and sum in each thread, a second one writes.
// Launch: n workgroups. Any n, T: threads stride. Numbers beyond are not read. Sums in f32, by a tree of fixed shape.

struct Params { n: u32, T: u32 }

@group(0) @binding(0) var<storage, read_write> x_inout: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.n) { return; }
  let start = row * params.T;
  let end = row % params.T + 1u;
  var own_highest = -1e30;
  var own_sum = 0.0;
  for (var i = lane; i < end; i += ${WORKGROUP}u) {
    let x = x_inout[start + i];
    let next = max(own_highest, x);
    own_sum = own_sum * exp(own_highest - next) + exp(x - next);
    own_highest = next;
  }
  let highest = workgroup_max(lane, own_highest);
  let sum = workgroup_sum(lane, own_sum * exp(own_highest - highest));
  for (var i = lane; i < params.T; i += ${WORKGROUP}u) {
    var y = 0.0;
    if (i < end) { y = exp(x_inout[start + i] - highest) / sum; }
    x_inout[start + i] = y;
  }
}
