// out (+)= x * scale where a number is kept, 0 where it is dropped. Element i is dropped if word i % 4 of the random
// words of counter (i / 4, 0, step, micro-batch) is below `limit`. The same kernel takes dy to dx: nothing is saved,
// the mask is drawn again. Added to out when ACCUMULATE.
//   x, out: (size); mask_counter: (2) step, micro-batch.
// One thread per block of four, n of them. Launch: ceil(n / WORKGROUP) workgroups. Any size.

fn put(i: u32, value: Vector) {
#if ${ACCUMULATE}
  store_out(i, load_out(i) + value);
#else
  store_out(i, value);
#endif
}

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = thread_index(group, groups, lane);
  if (block >= params.n) { return; }
  let words = philox(vec4u(block, 0u, mask_counter[0], mask_counter[1]), vec2u(params.key0, params.key1));
  // A product, so that a NaN shows even where it is dropped.
  let factors = select(vec4f(0.0), vec4f(params.scale), words >= vec4u(params.limit));
#if ${IS_VECTOR}
  put(block, load_x(block) * factors);
#else
  let at = 4u * block;
  put(at, load_x(at) * factors.x);
  if (at + 1u < params.size) { put(at + 1u, load_x(at + 1u) * factors.y); }
  if (at + 2u < params.size) { put(at + 2u, load_x(at + 2u) * factors.z); }
  if (at + 3u < params.size) { put(at + 3u, load_x(at + 3u) * factors.w); }
#endif
}
