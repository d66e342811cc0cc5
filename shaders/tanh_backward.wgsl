// Backward of y = tanh(x), in place: dy becomes dx = dy * (1 - y^2).
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> y: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> dy_inout: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let value = y[i];
  // The product form of 1 - y^2 keeps the digits of y near 1.
  dy_inout[i] *= (1.0 - value) * (1.0 + value);
}
