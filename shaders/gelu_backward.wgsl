// Backward of y = gelu(x), in place: dy becomes dx = dy * gelu'(x), in the form of the library.
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
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
  dy_inout[i] *= gelu_slope(x[i]);
}
