// y = x / rms(x) * weight, row by row; rms(x) = sqrt(mean(x^2) + eps).
//   x, y: (N, C); weight: (C); inverse_rms: (N), kept for the backward pass.
// One thread per row, no barriers. Launch: ceil(N / WORKGROUP) workgroups. Any N, C.

struct Params { n: u32, C: u32, eps: f32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> weight: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> y: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> inverse_rms: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

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
  var sum = ${VECTOR}(0.0);
  for (var c = 0u; c < width; c++) {
    let value = x[start + c];
    sum = fma(value, value, sum);
  }
  let scale = 1.0 / sqrt(sum_of(sum) / f32(params.C) + params.eps);
  inverse_rms[row] = scale;
  for (var c = 0u; c < width; c++) { y[start + c] = x[start + c] * scale * weight[c]; }
}
