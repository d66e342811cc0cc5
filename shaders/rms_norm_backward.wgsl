// dx (+)= r * (w * dy - x * r^2 * mean(x * w * dy)), row by row, with r = inverse_rms. Added to dx when ACCUMULATE.
//   x, dy, dx: (N, C); weight: (C); inverse_rms: (N).
// One thread per row, no barriers. Launch: ceil(N / WORKGROUP) workgroups. Any N, C.

struct Params { n: u32, C: u32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> weight: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> dx: array<${VECTOR}>;
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
  for (var c = 0u; c < width; c++) { sum += x[start + c] * weight[c] * dy[start + c]; }
  let r = inverse_rms[row];
  let shrink = sum_of(sum) * r * r / f32(params.C);
  for (var c = 0u; c < width; c++) {
    let i = start + c;
    let value = r * (weight[c] * dy[i] - x[i] * shrink);
#if ${ACCUMULATE}
    dx[i] += value;
#else
    dx[i] = value;
#endif
  }
}
