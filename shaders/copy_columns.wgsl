// part[row, c] = whole[row, first + c], or with INTO the other way round; added to what is there when ACCUMULATE.
//   part: (N, C); whole: (N, width). C, width and first count Vectors.
// One thread per Vector of the part, n of them. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let row = i / params.C;
  let at = row * params.width + params.first + (i - row * params.C);
#if ${ACCUMULATE}
  store_whole(at, load_whole(at) + load_part(i));
#elif ${INTO}
  store_whole(at, load_part(i));
#else
  store_part(i, load_whole(at));
#endif
}
