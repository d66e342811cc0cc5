// out = A B, or out += A B when ACCUMULATE, or addend + A B when ADD.
// A: (M, K), or (K, M) transposed; B: (K, N), or (N, K) transposed; out, addend: (M, N). Row-major; offsets count
// elements.
// If IS_PACKED, B is stored in another format than f32, and load_weight4() reads four of its numbers. One thread
// computes a TILE x TILE block in registers, without barriers: on software adapters the loads are nearly all of the
// time, and a block loads each number of A and B once for TILE products. The unrolled text is made in
// src/ops/matmul_text.ts. Launch: ceil(blocks / WORKGROUP) workgroups. Any M, N, K: with EDGE, rows past the end load
// the last one and are not stored.

struct Params { M: u32, N: u32, K: u32, a_offset: u32, b_offset: u32, out_offset: u32 }

@group(0) @binding(0) var<storage, read> a: array<${A_VECTOR}>;
@group(0) @binding(1) var<storage, read> b: array<${B_VECTOR}>;
#if ${ADD}
@group(0) @binding(2) var<storage, read> addend: array<${OUT_VECTOR}>;
@group(0) @binding(3) var<storage, read_write> out: array<${OUT_VECTOR}>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<${OUT_VECTOR}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

fn put(i: u32, value: ${OUT_VECTOR}) {
#if ${ACCUMULATE}
  out[i] += value;
#elif ${ADD}
  out[i] = addend[i] + value;
#else
  out[i] = value;
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
${STARTS}
  var k = 0u;
  let whole = params.K / ${UNROLL}u * ${UNROLL}u;
  for (; k < whole; k += ${UNROLL}u) {
${STEP}
  }
#if ${TAIL}
  for (; k < params.K; k++) {
${STEP_ONE}
  }
#endif
${STORE}
}
