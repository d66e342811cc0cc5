// Columns of the orthonormal cosine transform (DCT-II) of length d:
// out[j, c] = sqrt(2 / d) cos(pi (2 j + 1) f / (2 d)), and sqrt(1 / d) for f = 0; f = indices[c], or c itself with ALL.
// out: (d, k); indices: (k); table: (4 d) sqrt(2 / d) cos(2 pi i / (4 d)), a whole turn, as WGSL's cos is accurate to
// 2^-11 only. One thread per element, n of them. Launch: ceil(n / WORKGROUP) workgroups. d up to 46 340: (2 j + 1) f
// stays below 2^32.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
#if ${ALL}
  let frequency = i % params.k;
#else
  let frequency = indices[i % params.k];
#endif
  let cosine = table[(2u * (i / params.k) + 1u) * frequency % (4u * params.d)];
  out[i] = select(cosine, cosine * 0.70710678, frequency == 0u);
}
