// Rotates each pair (x[i], x[i + D/2]) of every head of q and k in place by the angle of its position (RoPE, half-split as
// in Hugging Face's LLaMA). Backwards, by the opposite angle, when INVERSE.
//   table: (T, D/2, 2) cosine and sine, made on the host in f64: WGSL's own sin and cos are too coarse;
//   q_inout: (B*T, H, D); k_inout: (B*T, KV, D).
// One thread per pair of q, then of k. Launch: ceil(B*T * (H + KV) * D/2 / WORKGROUP) workgroups.

struct Params { n: u32, T: u32, H: u32, KV: u32, half: u32 }

@group(0) @binding(0) var<storage, read> table: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> q_inout: array<f32>;
@group(0) @binding(2) var<storage, read_write> k_inout: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = thread_index(group, groups, lane);
  if (index >= params.n) { return; }
  let heads = params.H + params.KV;
  let i = index % params.half;
  let head = (index / params.half) % heads;
  let row = index / (params.half * heads);
  let turn = table[(row % params.T) * params.half + i];
#if ${INVERSE}
  let sine = -turn.y;
#else
  let sine = turn.y;
#endif
  if (head < params.H) {
    let at = (row * params.H + head) * 2u * params.half + i;
    let a = q_inout[at];
    let b = q_inout[at + params.half];
    q_inout[at] = a * turn.x - b * sine;
    q_inout[at + params.half] = b * turn.x + a * sine;
  } else {
    let at = (row * params.KV + head - params.H) * 2u * params.half + i;
    let a = k_inout[at];
    let b = k_inout[at + params.half];
    k_inout[at] = a * turn.x - b * sine;
    k_inout[at + params.half] = b * turn.x + a * sine;
  }
}
