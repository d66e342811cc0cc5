// partial_sum[first + workgroup] = sum of squares of a workgroup's share of up to six gradients, whose sizes count
// Vectors: for GPUs with workgroup memory. Threads stride over all, four loads at a time in flight, and a tree adds up
// a workgroup's sums; no atomics. Launch: any number of workgroups, `groups` of them.

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let threads = params.groups * ${WORKGROUP}u;
  let thread = group.x * ${WORKGROUP}u + lane;
#for u in 4
  var sum${u} = Vector(0.0);
#end
#for g in 6
#if ${HAS_G${g}}
  {
    var i = thread;
    for (; i + 3u * threads < params.size${g}; i += 4u * threads) {
#for u in 4
      let x${u} = load_g${g}(i + ${u}u * threads);
#end
#for u in 4
      sum${u} = fma(x${u}, x${u}, sum${u});
#end
    }
    for (; i < params.size${g}; i += threads) { sum0 = fma(load_g${g}(i), load_g${g}(i), sum0); }
  }
#endif
#end
  let sum = workgroup_sum(lane, sum_of((sum0 + sum1) + (sum2 + sum3)));
  if (lane == 0u) { partial_sum[params.first + group.x] = sum; }
}
