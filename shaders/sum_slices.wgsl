// out[out_offset + i] = sum over s of slices[s, i], or += it when ACCUMULATE, or addend + it with an addend.
//   slices: (count, n); out, addend: at least out_offset + n. n and out_offset count Vectors.
// One thread per Vector, no barriers, the slices in order: the second half of sums that many workgroups share.
// Launch: ceil(n / WORKGROUP) workgroups. Any n. Sums in f32.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  var sum = Vector(0.0);
  for (var s = 0u; s < params.count; s++) { sum += slices[s * params.n + i]; }
  let at = params.out_offset + i;
#if ${ACCUMULATE}
  store_out(at, load_out(at) + sum);
#elif ${HAS_ADDEND}
  store_out(at, load_addend(at) + sum);
#else
  store_out(at, sum);
#endif
}
