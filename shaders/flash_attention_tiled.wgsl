// Grouped-query attention, one pass over the keys with a running maximum (Dao et al., FlashAttention, 2022), for GPUs
// with workgroup memory: out[t] = sum over its keys j of softmax_j(scale q[t].k[j]) v[j]; lse[t] = log of the softmax's
// denominator.
// Its keys: CAUSAL: all up to t, else all. DOCUMENTS: only those in [start, end) of the document around t
// (lib/attention_window).
// q, out: (B, T, H, D); k, v: (B, T, KV, D); lse: (B, T, H); documents: (B, T, 2). A head is WIDTH times VECTOR. One
// workgroup per ROWS positions of one head; TILE_KEYS keys and values at a time pass through workgroup memory, tiles
// that no position sees are skipped. SLICES threads a row, each CHUNKS vectors of it in registers. Sums in f32, in a
// fixed order: no atomics. Launch: B * H * ceil(T / ROWS) workgroups. Any B, T, H, KV dividing H; rows and keys past T
// read the last one and do not count.

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
  // The last positions have the most keys, so they start first.
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
  var highest = -1e30;
  var sum = 0.0;
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
      let products = sum_slices(lane, block, ${QUERY_KEY});
#if ${WINDOWED}
      // A score far below the first `highest`: a row that has seen none of its keys yet counts none of the others.
      let s = select(vec4f(-2e30), params.scale * products, vec4u(j, j + 1u, j + 2u, j + 3u) - seen.x < vec4u(seen.y));
#else
      let s = select(vec4f(-1e30), params.scale * products, vec4u(j, j + 1u, j + 2u, j + 3u) <= vec4u(t));
#endif
      let next = max(highest, max(max(s.x, s.y), max(s.z, s.w)));
      let shrink = exp(highest - next);
      let p = exp(s - next);
      highest = next;
      sum = sum * shrink + (p.x + p.y + p.z + p.w);
${ADD_VALUES}
    }
    workgroupBarrier();
  }
  if (t < params.T) {
${STORE_ROW}
    if (slice == 0u) { lse[row] = highest + log(sum); }
#if ${DOCUMENTS}
    if (slice == 0u && h == 0u) { keep_document(b, t); }
#endif
  }
}
