// basis = candidate where good is 1; otherwise basis stays, bit for bit.
//   candidate, basis: n elements of VECTOR; good: (1).
// One thread per element. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> good: array<u32>;
@group(0) @binding(1) var<storage, read> candidate: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> basis: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || good[0] == 0u) { return; }
  basis[i] = candidate[i];
}
