// out = A B, or out += A B when ACCUMULATE, or addend + A B when ADD.
//   A: (M, K), or (K, M) when TRANSPOSE_A; B: (K, N), or (N, K) when TRANSPOSE_B; out, addend: (M, N). Row-major.
//   The offsets count elements from the start of each tensor.
// One thread per element of out. Launch: ceil(M * N / WORKGROUP) workgroups. Any M, N, K.

struct Params { M: u32, N: u32, K: u32, a_offset: u32, b_offset: u32, out_offset: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
#if ${ADD}
@group(0) @binding(2) var<storage, read> addend: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = thread_index(group, groups, lane);
  if (i >= params.M * params.N) { return; }
  let row = i / params.N;
  let column = i - row * params.N;
  var sum = 0.0;
  for (var k = 0u; k < params.K; k++) {
#if ${TRANSPOSE_A}
    let x = a[params.a_offset + k * params.M + row];
#else
    let x = a[params.a_offset + row * params.K + k];
#endif
#if ${TRANSPOSE_B}
    sum = fma(x, b[params.b_offset + column * params.K + k], sum);
#else
    sum = fma(x, b[params.b_offset + k * params.N + column], sum);
#endif
  }
#if ${ACCUMULATE}
  out[params.out_offset + i] += sum;
#elif ${ADD}
  out[params.out_offset + i] = addend[params.out_offset + i] + sum;
#else
  out[params.out_offset + i] = sum;
#endif
}
