// out = A B, or out += A B when ACCUMULATE, or addend + A B with an addend: for GPUs with workgroup memory.
//   A: (M, K), or (K, M) when TRANSPOSE_A; B: (K, N), or (N, K) when TRANSPOSE_B; out, addend: (M, N). Row-major.
// The offsets count elements from the start of each tensor. One workgroup per BM x BN tile of out: tiles of A and B, BK
// deep, pass through workgroup memory, k-major so that all modes share the inner loop; a thread holds TM x TN sums in
// registers, four neighbours in a vector. Sums in f32, in a fixed order: no atomics. A_WIDE, B_WIDE, OUT_WIDE: rows of
// the matrix are multiples of four numbers. B_PAIRS: B's rows run along k and are stored in another format
// than f32, and a thread has two numbers of each of four columns. EDGES: M or N is not a multiple of the tile; EDGE_K:
// K is not. Launch: ceil(M / BM) * ceil(N / BN) workgroups in x and y. Each of the z layers takes its share of K and
// writes its own (M, N) slice of out. Any M, N, K.

// Both dimensions have an index of their own: compilers then take the check of its bounds out of the inner loop, and
// read four numbers at once. The padding spreads a transposed store over the banks of the memory.
var<workgroup> a_tile: array<array<vec4f, ${BM / 4 + 1}>, ${BK}>;
var<workgroup> b_tile: array<array<vec4f, ${BN / 4 + 1}>, ${BK}>;

#if ${OUT_WIDE}
fn store(start: u32, row: u32, column: u32, sums: vec4f) {
#if ${EDGES}
  if (row >= params.M || column >= params.N) { return; }
#endif
  let i = (start + row * params.N + column) / 4u;
#if ${ACCUMULATE}
  store4_out(i, load4_out(i) + sums);
#elif ${HAS_ADDEND}
  store4_out(i, load4_addend(i) + sums);
#else
  store4_out(i, sums);
#endif
}
#else
fn store(start: u32, row: u32, column: u32, sums: vec4f) {
#for c in 4
  if (row < params.M && column + ${c}u < params.N) {
    let i = start + row * params.N + column + ${c}u;
#if ${ACCUMULATE}
    store1_out(i, load1_out(i) + sums[${c}]);
#elif ${HAS_ADDEND}
    store1_out(i, load1_addend(i) + sums[${c}]);
#else
    store1_out(i, sums[${c}]);
#endif
  }
#end
}
#endif

// A depth, or the last one if it lies past the end.
fn within(k: u32) -> u32 {
#if ${EDGE_K}
  return min(k, params.K - 1u);
#else
  return k;
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
  let row4 = lane / ${THREADS_N}u;
  let column4 = lane % ${THREADS_N}u;
#for i in TM
#for j in VECTORS
  var sum${i}_${j} = vec4f();
#end
#end
  // The fours of rows and the depth that a thread moves: neighbouring threads move neighbours in memory. Rows past the
  // end read the last one, and are not stored.
#if ${TRANSPOSE_A}
  let a4 = lane % ${BM / 4}u;
  let a_deep = lane / ${BM / 4}u;
#if ${A_WIDE}
  let a_row = params.a_offset + min(m0 + 4u * a4, params.M - 4u);
#else
#for c in 4
  let a_row0_${c} = params.a_offset + min(m0 + 4u * a4 + ${c}u, params.M - 1u);
#end
#endif
#else
  let a4 = lane / ${BK}u;
  let a_deep = lane % ${BK}u;
#for r in A_MOVES
#for c in 4
  let a_row${r}_${c} = params.a_offset + min(m0 + 4u * (a4 + ${r * A_STRIDE}u) + ${c}u, params.M - 1u) * params.K;
#end
#end
#endif
#if ${TRANSPOSE_B}
#if ${B_PAIRS}
  let b4 = lane / ${BK / 2}u;
  let b_deep = lane % ${BK / 2}u * 2u;
#else
  let b4 = lane / ${BK}u;
  let b_deep = lane % ${BK}u;
#endif
#for r in B_ROWS
#for c in 4
  let b_row${r}_${c} = params.b_offset + min(n0 + 4u * (b4 + ${r * B_STRIDE}u) + ${c}u, params.N - 1u) * params.K;
#end
#end
#else
  let b4 = lane % ${BN / 4}u;
  let b_deep = lane / ${BN / 4}u;
#if ${B_WIDE}
  let b_row = params.b_offset + min(n0 + 4u * b4, params.N - 4u);
#else
#for c in 4
  let b_row0_${c} = params.b_offset + min(n0 + 4u * b4 + ${c}u, params.N - 1u);
#end
#endif
#endif
  for (var k0 = group.z * share; k0 < k_end; k0 += ${BK}u) {
#if ${TRANSPOSE_A}
#for r in A_MOVES
    let a_k${r} = within(k0 + a_deep + ${r * A_STRIDE}u) * params.M;
#if ${A_WIDE}
    var a${r} = load4_a((a_row + a_k${r}) / 4u);
#else
    var a${r} = vec4f(
      load1_a(a_row0_0 + a_k${r}),
      load1_a(a_row0_1 + a_k${r}),
      load1_a(a_row0_2 + a_k${r}),
      load1_a(a_row0_3 + a_k${r}),
    );
#endif
#if ${EDGE_K}
    if (k0 + a_deep + ${r * A_STRIDE}u >= params.K) { a${r} = vec4f(); }
#endif
#end
#else
    let a_k = within(k0 + a_deep);
#for r in A_MOVES
    var a${r} = vec4f(
      load1_a(a_row${r}_0 + a_k),
      load1_a(a_row${r}_1 + a_k),
      load1_a(a_row${r}_2 + a_k),
      load1_a(a_row${r}_3 + a_k),
    );
#if ${EDGE_K}
    if (k0 + a_deep >= params.K) { a${r} = vec4f(); }
#endif
#end
#endif
#if ${B_PAIRS}
    let b_pair = within(k0 + b_deep) / 2u;
#for c in 4
    let column${c} = load2_b(b_row0_${c} / 2u + b_pair);
#end
#for r in 2
    var b${r} = vec4f(column0[${r}], column1[${r}], column2[${r}], column3[${r}]);
#if ${EDGE_K}
    if (k0 + b_deep >= params.K) { b${r} = vec4f(); }
#endif
#end
#elif ${TRANSPOSE_B}
    let b_k = within(k0 + b_deep);
#for r in B_MOVES
    var b${r} = vec4f(
      load1_b(b_row${r}_0 + b_k),
      load1_b(b_row${r}_1 + b_k),
      load1_b(b_row${r}_2 + b_k),
      load1_b(b_row${r}_3 + b_k),
    );
#if ${EDGE_K}
    if (k0 + b_deep >= params.K) { b${r} = vec4f(); }
#endif
#end
#else
#for r in B_MOVES
    let b_k${r} = within(k0 + b_deep + ${r * B_STRIDE}u) * params.N;
#if ${B_WIDE}
    var b${r} = load4_b((b_row + b_k${r}) / 4u);
#else
    var b${r} = vec4f(
      load1_b(b_row0_0 + b_k${r}),
      load1_b(b_row0_1 + b_k${r}),
      load1_b(b_row0_2 + b_k${r}),
      load1_b(b_row0_3 + b_k${r}),
    );
#endif
#if ${EDGE_K}
    if (k0 + b_deep + ${r * B_STRIDE}u >= params.K) { b${r} = vec4f(); }
#endif
#end
#endif
    // Everybody has used the tiles before.
    workgroupBarrier();
#for r in A_MOVES
#if ${TRANSPOSE_A}
    a_tile[a_deep + ${r * A_STRIDE}u][a4] = a${r};
#else
    a_tile[a_deep][a4 + ${r * A_STRIDE}u] = a${r};
#endif
#end
#for r in B_MOVES
#if ${B_PAIRS}
    b_tile[b_deep + ${r}u][b4] = b${r};
#elif ${TRANSPOSE_B}
    b_tile[b_deep][b4 + ${r * B_STRIDE}u] = b${r};
#else
    b_tile[b_deep + ${r * B_STRIDE}u][b4] = b${r};
#endif
#end
    workgroupBarrier();
    for (var step = 0u; step < ${STEPS}u; step++) {
#for u in UNROLL
      { let k = step * ${UNROLL}u + ${u}u;
#for i in QUADS
        let x${i} = a_tile[k][row4 + ${i * THREADS_M}u];
#end
#for j in VECTORS
        let y${j} = b_tile[k][column4 + ${j * THREADS_N}u];
#end
#for i in QUADS
#for c in 4
#for j in VECTORS
        sum${4 * i + c}_${j} = fma(vec4f(x${i}[${c}]), y${j}, sum${4 * i + c}_${j});
#end
#end
#end
      }
#end
    }
  }
  let start = params.out_offset + group.z * params.M * params.N;
#for i in QUADS
#for c in 4
#for j in VECTORS
  store(
    start,
    m0 + 4u * (row4 + ${i * THREADS_M}u) + ${c}u,
    n0 + 4u * (column4 + ${j * THREADS_N}u),
    sum${4 * i + c}_${j},
  );
#end
#end
#end
}
