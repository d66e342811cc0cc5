// out = A B, or out += A B when ACCUMULATE, or addend + A B with an addend.
// A: (M, K), or (K, M) transposed; B: (K, N), or (N, K) transposed; out, addend: (M, N). Row-major; offsets count
// elements. A_ALONG, B_ALONG: rows of the operand run along k; else along the block, over whose edge they are read in
// runs of A_WIDTH or B_WIDTH numbers. One thread computes a TILE x TILE block in registers, without barriers: on
// software adapters the loads are nearly all of the time, and a block loads each number of A and B once for TILE
// products. UNROLL0 values of k are taken at a time, and the rest, if there is one, one by one in a second phase.
// Launch: ceil(blocks / WORKGROUP) workgroups. Any M, N, K: with EDGE, rows past the end load the last one and are not
// stored.

fn put(i: u32, value: ${OUT_VECTOR}) {
#if ${ACCUMULATE}
  store${OUT_WIDTH}_out(i, load${OUT_WIDTH}_out(i) + value);
#elif ${HAS_ADDEND}
  store${OUT_WIDTH}_out(i, load${OUT_WIDTH}_addend(i) + value);
#else
  store${OUT_WIDTH}_out(i, value);
#endif
}

// A place along the block's edge, clamped at the end of the matrix.
fn clamped(place: u32, end: u32) -> u32 {
#if ${EDGE}
  return min(place, end - 1u);
#else
  return place;
#endif
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = thread_index(group, groups, lane);
  let across = (params.N + ${TILE}u - 1u) / ${TILE}u;
  if (block >= across * ((params.M + ${TILE}u - 1u) / ${TILE}u)) { return; }
  let row = block / across * ${TILE}u;
  let column = block % across * ${TILE}u;
#if ${A_ALONG}
#for i in TILE
  let a_at${i} = (params.a_offset + clamped(row + ${i}u, params.M) * params.K) / ${A_WIDTH}u;
#end
#else
#for i in A_RUNS
  let a_at${i} = params.a_offset / ${A_WIDTH}u + clamped(row / ${A_WIDTH}u + ${i}u, params.M / ${A_WIDTH}u);
#end
#endif
#if ${B_ALONG}
#for j in TILE
  let b_at${j} = (params.b_offset + clamped(column + ${j}u, params.N) * params.K) / ${B_WIDTH}u;
#end
#else
#for j in B_RUNS
  let b_at${j} = params.b_offset / ${B_WIDTH}u + clamped(column / ${B_WIDTH}u + ${j}u, params.N / ${B_WIDTH}u);
#end
#endif
#for i in TILE
#for j in TILE
  var c${i}_${j} = 0.0;
#end
#end
  var k = 0u;
  let end0 = params.K / ${UNROLL0}u * ${UNROLL0}u;
  let end1 = params.K;
#for phase in PHASES
  for (; k < end${phase}; k += ${UNROLL${phase}}u) {
    // All of B's part of the block is loaded first, then one run of A at a time: few values live across the loads.
#if ${B_ALONG}
#for j in TILE
#for q in B_LOADS${phase}
    let b${j}_${q} = load${B_WIDTH}_b(b_at${j} + k / ${B_WIDTH}u + ${q}u);
#for l in B_WIDTH
#if ${B_WIDE}
    let y${j}_${4 * q + l} = b${j}_${q}[${l}];
#else
    let y${j}_${q} = b${j}_${q};
#endif
#end
#end
#end
#else
#for j in B_RUNS
#for u in UNROLL${phase}
    let b${u}_${j} = load${B_WIDTH}_b(b_at${j} + (k + ${u}u) * params.N / ${B_WIDTH}u);
#for l in B_WIDTH
#if ${B_WIDE}
    let y${4 * j + l}_${u} = b${u}_${j}[${l}];
#else
    let y${j}_${u} = b${u}_${j};
#endif
#end
#end
#end
#endif
#for i in A_RUNS
#if ${A_ALONG}
#for q in A_LOADS${phase}
    let a${i}_${q} = load${A_WIDTH}_a(a_at${i} + k / ${A_WIDTH}u + ${q}u);
#for l in A_WIDTH
#if ${A_WIDE}
    let x${i}_${4 * q + l} = a${i}_${q}[${l}];
#else
    let x${i}_${q} = a${i}_${q};
#endif
#end
#end
#else
#for u in UNROLL${phase}
    let a${u}_${i} = load${A_WIDTH}_a(a_at${i} + (k + ${u}u) * params.M / ${A_WIDTH}u);
#for l in A_WIDTH
#if ${A_WIDE}
    let x${4 * i + l}_${u} = a${u}_${i}[${l}];
#else
    let x${i}_${u} = a${u}_${i};
#endif
#end
#end
#endif
#for e in A_RUN
#for j in TILE
    c${i * A_RUN + e}_${j} = c${i * A_RUN + e}_${j}
#for u in UNROLL${phase}
      + x${i * A_RUN + e}_${u} * y${j}_${u}
#end
      ;
#end
#end
#end
  }
#end
#for i in TILE
  let out${i} = (params.out_offset + (row + ${i}u) * params.N + column) / ${OUT_WIDTH}u;
#for j in OUT_RUNS
#if ${EDGE}
  if (row + ${i}u < params.M && column + ${j * OUT_WIDTH}u < params.N)
#endif
#if ${OUT_WIDE}
  { put(out${i} + ${j}u, vec4f(c${i}_${4 * j}, c${i}_${4 * j + 1}, c${i}_${4 * j + 2}, c${i}_${4 * j + 3})); }
#else
  { put(out${i} + ${j}u, c${i}_${j}); }
#endif
#end
#end
}
