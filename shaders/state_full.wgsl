// The state-full rule on a dense tensor x of gradients, n VECTORs of which min(n, step_inputs.count * stride / WIDTH)
// are in use: direction = scale * rule(clip.scale * x), and x = -x_scale * x if KEEP_X, else x = scale *
// rule(clip.scale * x) itself. Moments count as 0 when step_inputs.restart is set; they start at step_inputs.first. An
// x that is not finite keeps its moments and gives a direction that is not finite, so that nothing is updated by it.
// When clip.skip is set all moments stay, or are 0 at a restart, which is set at one step only. One thread per element
// of VECTOR. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, stride: u32, beta1: f32, beta2: f32, eps: f32, scale: f32, x_scale: f32 }

@group(0) @binding(0) var<storage, read> step_inputs: StepInputs;
@group(0) @binding(1) var<storage, read> clip: Clip;
@group(0) @binding(2) var<storage, read_write> x: array<${VECTOR}>;
#if ${KEEP_X}
@group(0) @binding(3) var<storage, read_write> direction: array<${VECTOR}>;
#endif
@group(0) @binding(${A_BINDING}) var<storage, read_write> a: array<${VECTOR}>;
#if ${HAS_B}
@group(0) @binding(${B_BINDING}) var<storage, read_write> b: array<${VECTOR}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (
    i >= params.n || i * ${WIDTH}u >= step_inputs.count * params.stride ||
    (clip.skip != 0u && step_inputs.restart == 0u)
  ) {
    return;
  }
  let slot = step_inputs.first / ${WIDTH}u + i;
  let raw = x[i];
  let good = select(${BOOLEAN}(false), is_finite(raw), clip.skip == 0u);
  var old = Moments(a[slot], ${VECTOR}(0.0));
#if ${HAS_B}
  old.b = b[slot];
#endif
  if (step_inputs.restart != 0u) { old = Moments(${VECTOR}(0.0), ${VECTOR}(0.0)); }
  let step = rule_step(raw * clip.scale, old);
  a[slot] = select(old.a, step.moments.a, good);
#if ${HAS_B}
  b[slot] = select(old.b, step.moments.b, good);
#endif
#if ${KEEP_X}
  x[i] = -params.x_scale * raw;
  direction[i] = select(raw, params.scale * step.direction, good);
#else
  x[i] = select(raw, params.scale * step.direction, good);
#endif
}
