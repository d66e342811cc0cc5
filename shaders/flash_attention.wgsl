// Grouped-query attention, one pass over the keys with a running maximum (Dao et al., FlashAttention, 2022):
//   out[t] = sum over its keys j of softmax_j(scale q[t].k[j]) v[j];  lse[t] = log of the softmax's denominator.
// Its keys: CAUSAL: all up to t, else all. DOCUMENTS: only those in [start, end) of the document around t
// (lib/attention_window).
// q, out: (B, T, H, D); k, v: (B, T, KV, D); lse: (B, T, H); documents: (B, T, 2). VECTOR holds WIDTH numbers of a
// head, D = CHUNKS * WIDTH. One thread per ROWS consecutive positions of one head, KEYS keys at a time, everything in
// registers, no barriers. Neighbouring threads take the same positions of different heads, so that they loop equally
// long. Launch: ceil(B * H * ceil(T / ROWS) / WORKGROUP) workgroups. Any B, T, H, KV dividing H, D.

struct Params { n: u32, B: u32, T: u32, H: u32, KV: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> q: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> k: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read> v: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> out: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
#if ${DOCUMENTS}
@group(0) @binding(5) var<storage, read> documents: array<vec2u>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.B * params.H;
  let first = index / heads * ${ROWS}u;
  let b = index % heads / params.H;
  let h = index % params.H;
  let key_stride = params.KV * ${CHUNKS}u;
  let key_start = b * params.T * key_stride + h / (params.H / params.KV) * ${CHUNKS}u;
  let last = params.T - 1u;
${LOAD_ROWS}
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(first + ${ROWS}u - 1u, last));
  let begin = keys_seen(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let end = min(first + ${ROWS}u, params.T);
#endif
  for (var j = ${BEGIN}; j < end; j += ${KEYS}u) {
${SCORES}
${ACCUMULATE_VALUES}
  }
${STORE_ROWS}
}
