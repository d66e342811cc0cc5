// out[4 i … 4 i + 3] = deviation * normal(0, 1) numbers by the Box-Muller transform, from the random words of counter
// (i, 0, step_inputs.drawn, 0): radius sqrt(-2 log u) with u in (0, 1], angle in (-pi, pi), where WGSL bounds the error
// of sin and cos.
//   out: (size).
// One thread per block of four, n of them. Launch: ceil(n / WORKGROUP) workgroups. Any size.

fn two_normals(a: u32, b: u32) -> vec2f {
  // a + 1: never log(0). WGSL lets log be slightly positive near 1.
  let u = (f32(a) + 1.0) * 0x1p-32f;
  let radius = params.deviation * sqrt(max(0.0, -2.0 * log(u)));
  // 3.1415925 rounds to the f32 below pi.
  let angle = f32(bitcast<i32>(b)) * 0x1p-31f * 3.1415925;
  return radius * vec2f(cos(angle), sin(angle));
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let words = philox(vec4u(i, 0u, step_inputs.drawn, 0u), vec2u(params.key0, params.key1));
  let front = two_normals(words.x, words.y);
  let back = two_normals(words.z, words.w);
  let at = 4u * i;
  out[at] = front.x;
  if (at + 1u < params.size) { out[at + 1u] = front.y; }
  if (at + 2u < params.size) { out[at + 2u] = back.x; }
  if (at + 3u < params.size) { out[at + 3u] = back.y; }
}
