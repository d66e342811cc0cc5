// partial_sum[first + i] = sum of squares of the elements i, i + n, i + 2n, … of up to six gradients, whose sizes count
// Vectors. One thread per partial sum, no barriers, no atomics. Launch: ceil(n / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = thread_index(group, groups, lane);
  if (thread >= params.n) { return; }
  var sum = Vector(0.0);
#for g in 6
#if ${HAS_G${g}}
  for (var i = thread; i < params.size${g}; i += params.n) { sum = fma(load_g${g}(i), load_g${g}(i), sum); }
#endif
#end
  partial_sum[params.first + thread] = sum_of(sum);
}
