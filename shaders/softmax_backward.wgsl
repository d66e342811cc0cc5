// dy = scale * y * (dy - sum of y * dy) in place over the first row % T + 1 numbers of each row, 0 beyond: softmax's backward.
//   y, dy_inout: (n, T), row-major; rows are positions 0 … T - 1, again and again.
// One thread per row, no barriers. Launch: ceil(n / WORKGROUP) workgroups. Any n, T. Numbers beyond are not read. Sums in f32.

struct Params { n: u32, T: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy_inout: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = thread_index(group, groups, lane);
  if (row >= params.n) { return; }
  let start = row * params.T;
  let end = row % params.T + 1u;
  var sum = 0.0;
  for (var i = start; i < start + end; i++) { sum = fma(y[i], dy_inout[i], sum); }
  for (var i = start; i < start + end; i++) { dy_inout[i] = params.scale * y[i] * (dy_inout[i] - sum); }
  for (var i = start + end; i < start + params.T; i++) { dy_inout[i] = 0.0; }
}
