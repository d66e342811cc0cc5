// Backward of flash_attention for the queries, the probabilities recomputed from lse:
//   delta[t] = dout[t].out[t];  dq[t] = scale * sum over its keys j of p[t,j] (dout[t].v[j] - delta[t]) k[j].
//   q, out, dout, dq: (B, T, H, D); k, v: (B, T, KV, D); lse, delta: (B, T, H).
// Keys of a position, threads and launch as in flash_attention, one key at a time.

struct Params { n: u32, B: u32, T: u32, H: u32, KV: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> q: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> k: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read> v: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read> out: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read> dout: array<${VECTOR}>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> dq: array<${VECTOR}>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
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
  for (var j = ${BEGIN}; j < end; j++) {
    let at = key_start + j * key_stride;
${ADD_KEY}
  }
${STORE_ROWS}
}
