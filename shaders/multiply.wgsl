// out (+)= x y, element by element: the product of two tensors, and the gradient of one of them with x = dout.
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> y: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> out: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
#if ${ACCUMULATE}
  out[i] += x[i] * y[i];
#else
  out[i] = x[i] * y[i];
#endif
}
