// Backward of y = silu(gate) * up, in place: gate becomes dgate and up becomes dup.
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32 }

@group(0) @binding(0) var<storage, read> dy: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read_write> gate_inout: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> up_inout: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let g = gate_inout[i];
  let s = sigmoid(g);
  let d = dy[i];
  gate_inout[i] = d * up_inout[i] * s * (1.0 + g * (1.0 - s));
  up_inout[i] = d * g * s;
}
