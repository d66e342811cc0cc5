// out[thread] = sum of CHAINS numbers that went through x = x * a + b, each independent of the others, all in
// registers: only the arithmetic units are busy. One thread per number, n of them. Launch: ceil(n / WORKGROUP)
// workgroups.

struct Params { n: u32, turns: u32, a: f32, b: f32 }

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = thread_index(group, groups, lane);
  if (thread >= params.n) { return; }
  let a = params.a;
  let b = params.b;
${START}
  for (var turn = 0u; turn < params.turns; turn++) {
${CHAIN}
  }
  out[thread] = ${SUM};
}
