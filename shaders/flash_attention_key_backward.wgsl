// Backward of flash_attention for keys and values, the probabilities recomputed from lse:
//   dv[j] = sum over t of p[t,j] dout[t];  dk[j] = scale * sum over t of p[t,j] (dout[t].v[j] - delta[t]) q[t],
// over the positions t that see j and over the query heads that share the key head, in a fixed order: no atomics.
// q, dout: (B, T, H, D); k, v, dk, dv: (B, T, KV, D); lse, delta: (B, T, H). One thread per ROWS consecutive positions
// of one key head. Launch: ceil(B * KV * ceil(T / ROWS) / WORKGROUP) workgroups.

struct Params { n: u32, B: u32, T: u32, H: u32, KV: u32, scale: f32 }

@group(0) @binding(0) var<storage, read> q: array<${VECTOR}>;
@group(0) @binding(1) var<storage, read> k: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read> v: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read> dout: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> dk: array<${VECTOR}>;
@group(0) @binding(7) var<storage, read_write> dv: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.B * params.KV;
  let first = index / heads * ${ROWS}u;
  let b = index % heads / params.KV;
  let h = index % params.KV;
  let shared_by = params.H / params.KV;
  let last = params.T - 1u;
${LOAD_ROWS}
#if ${WINDOWED}
  let last_seeing = queries_seeing(b, min(first + ${ROWS}u - 1u, last));
  let begin = queries_seeing(b, first).x;
  let end = last_seeing.x + last_seeing.y;
#endif
  for (var head = h * shared_by; head < (h + 1u) * shared_by; head++) {
    for (var t = ${BEGIN}; t < ${END}; t++) {
      let row = (b * params.T + t) * params.H + head;
      let at = row * ${CHUNKS}u;
      let row_lse = lse[row];
      let row_delta = delta[row];
${ADD_QUERY}
    }
  }
${STORE_ROWS}
}
