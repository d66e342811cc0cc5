// partial_sum[first + i] = sum of squares of the elements i, i + n, i + 2n, … of up to six gradients, whose sizes count
// VECTORs. One thread per partial sum, no barriers, no atomics. Launch: ceil(n / WORKGROUP) workgroups. A slot without
// a gradient has size 0 and is bound to any other one.

struct Params { n: u32, first: u32, size0: u32, size1: u32, size2: u32, size3: u32, size4: u32, size5: u32 }

@group(0) @binding(0) var<storage, read> g0: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> g1: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read> g2: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read> g3: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read> g4: array<${VECTOR}>;
@group(0) @binding(5) var<storage, read> g5: array<${VECTOR}>;
@group(0) @binding(6) var<storage, read_write> partial_sum: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = thread_index(group, groups, lane);
  if (thread >= params.n) { return; }
  var sum = ${VECTOR}(0.0);
  for (var i = thread; i < params.size0; i += params.n) { sum = fma(g0[i], g0[i], sum); }
  for (var i = thread; i < params.size1; i += params.n) { sum = fma(g1[i], g1[i], sum); }
  for (var i = thread; i < params.size2; i += params.n) { sum = fma(g2[i], g2[i], sum); }
  for (var i = thread; i < params.size3; i += params.n) { sum = fma(g3[i], g3[i], sum); }
  for (var i = thread; i < params.size4; i += params.n) { sum = fma(g4[i], g4[i], sum); }
  for (var i = thread; i < params.size5; i += params.n) { sum = fma(g5[i], g5[i], sum); }
  partial_sum[params.first + thread] = sum_of(sum);
}
