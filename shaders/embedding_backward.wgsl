// dweight[id] += sum of dy[row] over the rows whose token is id, in a fixed order: no atomics, same bits every time.
//   order: (N) rows sorted by token; segment_ids: (N) distinct tokens, then 0xffffffff;
// segment_offsets: (N + 1) start of each token's rows in order; dy: (N, C); dweight: (V, C). C counts Vectors. One
// thread per (segment, column). Launch: ceil(N * C / WORKGROUP) workgroups. Rows of other tokens are not touched.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let segment = i / params.C;
  let column = i - segment * params.C;
  let id = segment_ids[segment];
  if (id >= params.V) { return; }
  let end = segment_offsets[segment + 1u];
  var sum = Vector(0.0);
  for (var at = segment_offsets[segment]; at < end; at++) {
    sum += load_dy(order[at] * params.C + column);
  }
  store_dweight(id * params.C + column, load_dweight(id * params.C + column) + sum);
}
