// state_full.wgsl with moments in eight bits, see lib/eight_bit.wgsl. A block's moments are computed twice: once to
// find the largest of them, once to quantize. step_inputs.first is a multiple of 256. One thread per block of 256
// elements, no barriers. Launch: ceil(n / 256 / WORKGROUP) workgroups. Any n, which counts elements.

struct Params { n: u32, stride: u32, beta1: f32, beta2: f32, eps: f32, scale: f32, x_scale: f32 }

@group(0) @binding(0) var<storage, read> step_inputs: StepInputs;
@group(0) @binding(1) var<storage, read> clip: Clip;
@group(0) @binding(2) var<storage, read> codes: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
#if ${KEEP_X}
@group(0) @binding(4) var<storage, read_write> direction: array<f32>;
#endif
@group(0) @binding(${A_BINDING}) var<storage, read_write> a: array<u32>;
#if ${HAS_B}
@group(0) @binding(${B_BINDING}) var<storage, read_write> b: array<u32>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let block = thread_index(group, groups, lane);
  let limit = min(params.n, step_inputs.count * params.stride);
  if (block * 256u >= limit || (clip.skip != 0u && step_inputs.restart == 0u)) { return; }
  let base = (step_inputs.first / 256u + block) * BLOCK_WORDS;
  let largest_a = bitcast<f32>(a[base]);
  var new_a = 0.0;
  var largest_b = 0.0;
  var new_b = 0.0;
#if ${HAS_B}
  largest_b = bitcast<f32>(b[base]);
#endif
  for (var word = 0u; word < 64u; word++) {
    let first = block * 256u + word * 4u;
    let step = guarded_step(four_at(first, limit), old_moments(base + 1u + word, largest_a, largest_b));
    new_a = max(new_a, largest_of(step.moments.a));
    new_b = max(new_b, largest_of(step.moments.b));
  }
  for (var word = 0u; word < 64u; word++) {
    let first = block * 256u + word * 4u;
    let raw = four_at(first, limit);
    let step = guarded_step(raw, old_moments(base + 1u + word, largest_a, largest_b));
    a[base + 1u + word] = quantize(step.moments.a, new_a, 0u);
#if ${HAS_B}
    b[base + 1u + word] = quantize(step.moments.b, new_b, 256u);
#endif
    put_four(first, limit, raw, step.direction);
  }
  a[base] = bitcast<u32>(new_a);
#if ${HAS_B}
  b[base] = bitcast<u32>(new_b);
#endif
}
