// out = A B, or out += A B when ACCUMULATE, or addend + A B when ADD: for GPUs with workgroup memory.
//   A: (M, K), or (K, M) when TRANSPOSE_A; B: (K, N), or (N, K) when TRANSPOSE_B; out, addend: (M, N). Row-major.
// The offsets count elements from the start of each tensor. With IS_PACKED, B is stored in another format than f32, and
// b_offset is 0. One workgroup per BM x BN tile of out: tiles of A and B, BK deep, pass through workgroup memory,
// k-major so that all modes share the inner loop; a thread holds TM x TN sums in registers. Sums in f32, in a fixed
// order: no atomics. Launch: ceil(M / BM) * ceil(N / BN) workgroups in x and y. Each of the z layers takes its share of
// K and writes its own (M, N) slice of out. Any M, N, K; without EDGES only multiples of the tile.

struct Params { M: u32, N: u32, K: u32, a_offset: u32, b_offset: u32, out_offset: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
#if ${IS_PACKED}
@group(0) @binding(1) var<storage, read> b: array<u32>;
#else
@group(0) @binding(1) var<storage, read> b: array<f32>;
#endif
#if ${ADD}
@group(0) @binding(2) var<storage, read> addend: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> a_tile: array<f32, ${A_TILE}>;
var<workgroup> b_tile: array<f32, ${B_TILE}>;

fn a_at(row: u32, k: u32) -> f32 {
#if ${EDGES}
  if (row >= params.M || k >= params.K) { return 0.0; }
#endif
#if ${TRANSPOSE_A}
  return a[params.a_offset + k * params.M + row];
#else
  return a[params.a_offset + row * params.K + k];
#endif
}

fn b_at(column: u32, k: u32) -> f32 {
#if ${EDGES}
  if (column >= params.N || k >= params.K) { return 0.0; }
#endif
#if ${IS_PACKED}
#if ${TRANSPOSE_B}
  let i = column * params.K + k;
#else
  let i = k * params.N + column;
#endif
#if ${BF16}
  return unpack_one_bf16(b[i / 2u], i);
#elif ${F16}
  return unpack_one_f16(b[i / 2u], i);
#elif ${INT8}
  return unpack_one_int8(b[i / 4u], i, b[params.N * params.K / 4u + i / 64u]);
#elif ${NF4}
  return unpack_one_nf4(b[i / 8u], i, b[(params.N * params.K + 7u) / 8u + i / 64u]);
#endif
#elif ${TRANSPOSE_B}
  return b[params.b_offset + column * params.K + k];
#else
  return b[params.b_offset + k * params.N + column];
#endif
}

fn store(start: u32, row: u32, column: u32, sum: f32) {
#if ${EDGES}
  if (row >= params.M || column >= params.N) { return; }
#endif
  let i = start + row * params.N + column;
#if ${ACCUMULATE}
  out[i] += sum;
#elif ${ADD}
  out[i] = addend[i] + sum;
#else
  out[i] = sum;
#endif
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles_m = (params.M - 1u) / ${BM}u + 1u;
  let tiles_n = (params.N - 1u) / ${BN}u + 1u;
  let tile = group.y * groups.x + group.x;
  if (tile >= tiles_m * tiles_n) { return; }
  // Tiles go column by column through bands of BAND rows: the parts of A and B that workgroups read at once stay in the
  // cache.
  let band = tile / (${BAND}u * tiles_n) * ${BAND}u;
  let height = min(tiles_m - band, ${BAND}u);
  let m0 = (band + (tile - band * tiles_n) % height) * ${BM}u;
  let n0 = (tile - band * tiles_n) / height * ${BN}u;
  let share = ((params.K - 1u) / (groups.z * ${BK}u) + 1u) * ${BK}u;
  let k_end = min((group.z + 1u) * share, params.K);
  let row = lane / ${THREADS_N}u * ${RUN_M}u;
  let column = lane % ${THREADS_N}u * ${RUN_N}u;
${CLEAR_SUMS}
  for (var k0 = group.z * share; k0 < k_end; k0 += ${BK}u) {
${LOAD_TILES}
    // Everybody has used the tiles before.
    workgroupBarrier();
${STORE_TILES}
    workgroupBarrier();
    for (var step = 0u; step < ${STEPS}u; step++) {
      let k = step * ${UNROLL}u;
${MULTIPLY}
    }
  }
  let start = params.out_offset + group.z * params.M * params.N;
${STORE_SUMS}
}
