// dx[b T] = dy[b] and 0 in all other rows; with ACCUMULATE dy is added and the others stay.
//   dx: (B * T, C); dy: (B, C). C counts VECTORs.
// One thread per VECTOR of dx, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, T: u32, C: u32 }

@group(0) @binding(0) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> dx: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let row = i / params.C;
  let sequence = row / params.T;
  var value = ${VECTOR}(0.0);
  if (row == sequence * params.T) { value = dy[sequence * params.C + (i - row * params.C)]; }
#if ${ACCUMULATE}
  dx[i] += value;
#else
  dx[i] = value;
#endif
}
