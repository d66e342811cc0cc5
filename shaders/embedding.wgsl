// y[row] = weight[ids[row]]
//   ids: (N); weight: (V, C); y: (N, C).
// C counts Vectors. One thread for each of y. Launch: ceil(N * C / WORKGROUP) workgroups. Any N, C; an id past V reads
// the last row.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let row = i / params.C;
  let id = min(ids[row], params.V - 1u);
  store_y(i, load_weight(id * params.C + (i - row * params.C)));
}
