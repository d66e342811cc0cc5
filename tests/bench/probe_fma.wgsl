// out[thread] = sum of CHAINS numbers that went through x = x * a + b, each independent of the others, all in
// registers: only the arithmetic units are busy. One thread per number, n of them. Launch: ceil(n / WORKGROUP)
// workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let thread = thread_index(group, groups, lane);
  if (thread >= params.n) { return; }
  let a = params.a;
  let b = params.b;
#for i in CHAINS
  var x${i} = f32(thread + ${i}u);
#end
  for (var turn = 0u; turn < params.turns; turn++) {
#for u in UNROLL
#for i in CHAINS
    // Contraction of a product and a sum is up to the compiler, so the fused form is a probe of its own.
#if ${FUSED}
    x${i} = fma(x${i}, a, b);
#else
    x${i} = x${i} * a + b;
#endif
#end
#end
  }
  var sum = x0;
#for i in 1..CHAINS
  sum += x${i};
#end
  out[thread] = sum;
}
