// y[b] = x[b T]: the row of the first token of each sequence.
//   x: (B * T, C); y: (B, C). C counts VECTORs.
// One thread per VECTOR of y, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, T: u32, C: u32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> y: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let sequence = i / params.C;
  y[i] = x[sequence * params.T * params.C + (i - sequence * params.C)];
}
