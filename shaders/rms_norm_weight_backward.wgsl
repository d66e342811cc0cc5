// dweight (+)= sum over rows of dy * x * inverse_rms, column by column. Added to dweight when ACCUMULATE.
//   x, dy: (N, C); inverse_rms: (N); dweight: (C).
// One thread per VECTOR of columns, no barriers. Launch: ceil(C / WIDTH / WORKGROUP) workgroups. Any N, C.

struct Params { n: u32, C: u32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> inverse_rms: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> dweight: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = thread_index(group, groups, lane);
  let width = params.C / ${WIDTH}u;
  if (column >= width) { return; }
  var sum = ${VECTOR}(0.0);
  for (var row = 0u; row < params.n; row++) {
    let i = row * width + column;
    sum += dy[i] * x[i] * inverse_rms[row];
  }
#if ${ACCUMULATE}
  dweight[column] += sum;
#else
  dweight[column] = sum;
#endif
}
