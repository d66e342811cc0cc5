// out[t, j] = scale * x[t].y[j] for the keys j of t: scores of attention, and the gradient of its probabilities.
//   x: (B, T, H, D); y: (B, T, KV, D); out: (B, H, T, T); documents: (B, T, 2). A head is CHUNKS times VECTOR.
// Its keys: j <= t. WINDOWED: those of lib/attention_window. One thread per 4 positions t and 4 positions j of one
// head, everything in registers, no barriers. Blocks without keys are not written. Launch: ceil(B * H * ceil(T / 4)^2 /
// WORKGROUP) workgroups. Any B, T, H, KV dividing H, D; rows past T read the last one.

struct Params { n: u32, T: u32, H: u32, KV: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> x: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> y: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#if ${DOCUMENTS}
@group(0) @binding(3) var<storage, read> documents: array<vec2u>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  let blocks = (params.T - 1u) / 4u + 1u;
  let j = index % blocks * 4u;
  let t = index / blocks % blocks * 4u;
#if ${WINDOWED}
  if (index >= params.n) { return; }
#else
  if (index >= params.n || j > t) { return; }
#endif
  let head = index / (blocks * blocks);
  let b = head / params.H;
  let h = head % params.H;
  let last = params.T - 1u;
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(t + 3u, last));
  if (j + 4u <= keys_seen(b, t).x || j >= last_seen.x + last_seen.y) { return; }
#endif
${ROW_STARTS}
${CLEAR_SUMS}
  for (var c = 0u; c < ${CHUNKS}u; c++) {
${MULTIPLY}
  }
${STORE_SUMS}
}
