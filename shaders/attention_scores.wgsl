// out[t, j] = scale * x[t].y[j] for the keys j of t: scores of attention, and the gradient of its probabilities.
//   x: (B, T, H, D); y: (B, T, KV, D); out: (B, H, T, T); documents: (B, T, 2). A head is CHUNKS Vectors.
// Its keys: j <= t. WINDOWED: those of lib/attention_window. One thread per 4 positions t and 4 positions j of one
// head, everything in registers, no barriers. Blocks without keys are not written. Launch: ceil(B * H * ceil(T / 4)^2 /
// WORKGROUP) workgroups. Any B, T, H, KV dividing H, D; rows past T read the last one.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  let blocks = (params.T - 1u) / 4u + 1u;
  let j = index % blocks * 4u;
  let t = index / blocks % blocks * 4u;
#if ${WINDOWED}
  if (index >= params.n) { return; }
#else
  if (index >= params.n || j > t) { return; }
#endif
  let head = index / (blocks * blocks);
  let b = head / params.H;
  let h = head % params.H;
  let last = params.T - 1u;
#if ${WINDOWED}
  let last_seen = keys_seen(b, min(t + 3u, last));
  if (j + 4u <= keys_seen(b, t).x || j >= last_seen.x + last_seen.y) { return; }
#endif
#for i in 4
  let x${i} = ((b * params.T + min(t + ${i}u, last)) * params.H + h) * ${CHUNKS}u;
  let y${i} = ((b * params.T + min(j + ${i}u, last)) * params.KV + h / (params.H / params.KV)) * ${CHUNKS}u;
#end
#for i in 4
#for n in 4
  var sum${i}_${n} = Vector();
#end
#end
  for (var c = 0u; c < ${CHUNKS}u; c++) {
#for i in 4
    let row${i} = load_x(x${i} + c);
    let key${i} = load_y(y${i} + c);
#end
#for i in 4
#for n in 4
    sum${i}_${n} = fma(row${i}, key${n}, sum${i}_${n});
#end
#end
  }
#for i in 4
#for n in 4
  if (t + ${i}u < params.T && j + ${n}u < params.T) {
    out[(head * params.T + t + ${i}u) * params.T + j + ${n}u] = params.scale * lanes_of(sum${i}_${n});
  }
#end
#end
}
