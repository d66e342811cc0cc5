// Rotates each pair (x[i], x[i + D/2]) of every head of q and k in place by the angle of its position (RoPE, half-split
// as in Hugging Face's LLaMA). Backwards, by the opposite angle, when INVERSE.
//   table: (T, 2, D/2) cosines, then sines, made on the host in f64: WGSL's own sin and cos are too coarse;
//   q_inout: (B*T, H, D); k_inout: (B*T, KV, D).
// half = D/2 in Vectors. One thread per Vector of pairs. Launch: ceil(B*T * (H + KV) * half / WORKGROUP) workgroups.

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.H + params.KV;
  let i = index % params.half;
  let head = (index / params.half) % heads;
  let row = index / (params.half * heads);
  let turn = (row % params.T) * 2u * params.half + i;
  let cosine = table[turn];
#if ${INVERSE}
  let sine = -table[turn + params.half];
#else
  let sine = table[turn + params.half];
#endif
  if (head < params.H) {
    let at = (row * params.H + head) * 2u * params.half + i;
    let a = load_q_inout(at);
    let b = load_q_inout(at + params.half);
    store_q_inout(at, a * cosine - b * sine);
    store_q_inout(at + params.half, b * cosine + a * sine);
  } else {
    let at = (row * params.KV + head - params.H) * 2u * params.half + i;
    let a = load_k_inout(at);
    let b = load_k_inout(at + params.half);
    store_k_inout(at, a * cosine - b * sine);
    store_k_inout(at + params.half, b * cosine + a * sine);
  }
}
