// Backward of flash_attention for keys and values, the probabilities recomputed from lse, for GPUs with workgroup
// memory:
//   dv[j] = sum over t of p[t,j] dout[t];  dk[j] = scale * sum over t of p[t,j] (dout[t].v[j] - delta[t]) q[t],
// over the positions t that see j and over the query heads that share the key head, in a fixed order: no atomics.
// q, dout: (B, T, H, D); k, v, dk, dv: (B, T, KV, D); lse, delta: (B, T, H). A head is WIDTH times VECTOR. One
// workgroup per ROWS positions of one key head; TILE_KEYS queries at a time pass through workgroup memory, those that
// see one of the block's keys. SLICES threads a row, each CHUNKS vectors of it in registers. Sums in f32. Launch: B *
// KV * ceil(T / ROWS) workgroups. Any B, T, H, KV dividing H; rows past T read the last one and do not count.

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

var<workgroup> q_tile: array<${VECTOR}, ${TILE}>;
var<workgroup> dout_tile: array<${VECTOR}, ${TILE}>;
var<workgroup> lse_tile: array<f32, ${TILE_KEYS}>;
var<workgroup> delta_tile: array<f32, ${TILE_KEYS}>;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let heads = params.B * params.KV;
  let index = group.y * groups.x + group.x;
  // The first positions have the most queries, so they start first.
  let first = index / heads * ${ROWS}u;
  if (first >= params.T) { return; }
  let b = index % heads / params.KV;
  let h = index % params.KV;
  let shared_by = params.H / params.KV;
  let last = params.T - 1u;
  let slice = lane / ${ROWS}u * ${CHUNKS}u;
  let j = first + lane % ${ROWS}u;
  let row = (b * params.T + min(j, last)) * params.KV + h;
  let at = row * ${WIDTH}u + slice;
${LOAD_ROW}
#if ${WINDOWED}
  let seeing = queries_seeing(b, min(j, last));
  let last_seeing = queries_seeing(b, min(first + ${ROWS}u - 1u, last));
  let begin = queries_seeing(b, first).x;
  let end = last_seeing.x + last_seeing.y;
#endif
  for (var head = h * shared_by; head < (h + 1u) * shared_by; head++) {
    for (var tile = ${BEGIN}; tile < ${END}; tile += ${TILE_KEYS}u) {
      for (var i = 0u; i < ${LOADS}u; i++) {
        let e = i * ${WORKGROUP}u + lane;
        if (e < ${TILE}u) {
          let source = ((b * params.T + min(tile + e / ${WIDTH}u, last)) * params.H + head) * ${WIDTH}u + e % ${WIDTH}u;
          q_tile[e] = q[source];
          dout_tile[e] = dout[source];
        }
      }
      if (lane < ${TILE_KEYS}u) {
        let query = (b * params.T + min(tile + lane, last)) * params.H + head;
        lse_tile[lane] = lse[query];
        delta_tile[lane] = delta[query];
      }
      workgroupBarrier();
      for (var block = 0u; block < ${BLOCKS}u; block++) {
        let near = block * 4u * ${WIDTH}u + slice;
        let i = block * 4u;
        let t = vec4u(tile + i, tile + i + 1u, tile + i + 2u, tile + i + 3u);
        let row_lse = vec4f(lse_tile[i], lse_tile[i + 1u], lse_tile[i + 2u], lse_tile[i + 3u]);
        let row_delta = vec4f(delta_tile[i], delta_tile[i + 1u], delta_tile[i + 2u], delta_tile[i + 3u]);
        let products = sum_slices(lane, block, mat2x4f(${QUERY_KEY}, ${DOUT_VALUE}));
#if ${WINDOWED}
        let s = select(vec4f(-1e30), params.scale * products[0], t - seeing.x < vec4u(seeing.y));
#else
        let s = select(vec4f(-1e30), params.scale * products[0], (t >= vec4u(j)) & (t < vec4u(params.T)));
#endif
        let p = exp(s - row_lse);
        let ds = params.scale * p * (products[1] - row_delta);
${ADD_QUERIES}
      }
      workgroupBarrier();
    }
  }
  if (j < params.T) {
${STORE_ROW}
  }
}
