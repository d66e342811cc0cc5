// Backward of flash_attention for the queries, the probabilities recomputed from lse, for GPUs with workgroup memory:
//   delta[t] = dout[t].out[t];  dq[t] = scale * sum over its keys j of p[t,j] (dout[t].v[j] - delta[t]) k[j].
//   q, out, dout, dq: (B, T, H, D); k, v: (B, T, KV, D); lse, delta: (B, T, H).
// Keys of a position, workgroups, threads, launch and edges as in flash_attention_tiled.

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

var<workgroup> k_tile: array<${VECTOR}, ${TILE}>;
var<workgroup> v_tile: array<${VECTOR}, ${TILE}>;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks = (params.T - 1u) / ${ROWS}u + 1u;
  let heads = params.B * params.H;
  let index = group.y * groups.x + group.x;
  if (index >= heads * blocks) { return; }
  let first = (blocks - 1u - index / heads) * ${ROWS}u;
  let b = index % heads / params.H;
  let h = index % params.H;
  let last = params.T - 1u;
  let key_stride = params.KV * ${WIDTH}u;
  let key_start = b * params.T * key_stride + h / (params.H / params.KV) * ${WIDTH}u;
  let slice = lane / ${ROWS}u * ${CHUNKS}u;
  let t = first + lane % ${ROWS}u;
  let row = (b * params.T + min(t, last)) * params.H + h;
  let at = row * ${WIDTH}u + slice;
${LOAD_ROW}
#if ${WINDOWED}
  let seen = keys_seen(b, min(t, last));
#endif
  let row_lse = lse[row];
  let row_delta = sum_slices(lane, 0u, mat2x4f(vec4f(${OUT_DOUT}), vec4f()))[0].x;
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(first + ${ROWS}u - 1u, last));
  let begin = keys_seen(b, first).x;
  let end = last_seen.x + last_seen.y;
#else
  let end = min(first + ${ROWS}u, params.T);
#endif
  for (var tile = ${BEGIN}; tile < end; tile += ${TILE_KEYS}u) {
    for (var i = 0u; i < ${LOADS}u; i++) {
      let e = i * ${WORKGROUP}u + lane;
      if (e < ${TILE}u) {
        let source = key_start + min(tile + e / ${WIDTH}u, last) * key_stride + e % ${WIDTH}u;
        k_tile[e] = k[source];
        v_tile[e] = v[source];
      }
    }
    workgroupBarrier();
    for (var block = 0u; block < ${BLOCKS}u; block++) {
      let near = block * 4u * ${WIDTH}u + slice;
      let j = tile + block * 4u;
      let products = sum_slices(lane, block, mat2x4f(${QUERY_KEY}, ${DOUT_VALUE}));
#if ${WINDOWED}
      let is_seen = vec4u(j, j + 1u, j + 2u, j + 3u) - seen.x < vec4u(seen.y);
      let s = select(vec4f(-1e30), params.scale * products[0], is_seen);
#else
      let s = select(vec4f(-1e30), params.scale * products[0], vec4u(j, j + 1u, j + 2u, j + 3u) <= vec4u(t));
#endif
      let ds = params.scale * exp(s - row_lse) * (products[1] - row_delta);
${ADD_KEYS}
    }
    workgroupBarrier();
  }
  if (t < params.T) {
${STORE_ROW}
    if (slice == 0u) { delta[row] = row_delta; }
  }
}
