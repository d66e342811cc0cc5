// indices = where the k largest of energy are, largest first, the smaller index first among equals. If any is not
// finite or all are 0 they stay as they are, but become 0 … k - 1 if `cold`.
//   energy: (n); indices: (k).
// One thread per energy counts how many come before its own; what is counted to k - 1 at most has found its place.
// Launch: ceil(n / WORKGROUP) workgroups. n up to 65 535, k <= n.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let c = thread_index(group, groups, lane);
  if (c >= params.n) { return; }
  let own = energy[c];
  var place = 0u;
  var finite = true;
  var some = false;
  for (var i = 0u; i < params.n; i++) {
    let other = energy[i];
    finite = finite && is_finite(other);
    some = some || other > 0.0;
    place += u32(other > own || (other == own && i < c));
  }
  if (finite && some) {
    if (place < params.k) { indices[place] = c; }
  } else if (params.cold != 0u && c < params.k) {
    indices[c] = c;
  }
}
