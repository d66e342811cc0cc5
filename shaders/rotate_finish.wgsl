// Moments in a new basis, unless there are none: step_inputs.restart, or with SECOND no step done so far.
//   m = mean;  with SECOND v = |c2 (spread + (mean / c1)^2)|, c1 and c2 the bias corrections of the steps done so far
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, beta1: f32, complement1: f32, beta2: f32, complement2: f32 }

@group(0) @binding(0) var<storage, read> step_inputs: StepInputs;
@group(0) @binding(1) var<storage, read> mean: array<${VECTOR}>;
@group(0) @binding(2) var<storage, read_write> m: array<${VECTOR}>;
#if ${SECOND}
@group(0) @binding(3) var<storage, read> spread: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> v: array<${VECTOR}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || step_inputs.restart != 0u) { return; }
#if ${SECOND}
  let correction1 = past_correction(step_inputs.bias_correction1, params.beta1, params.complement1);
  let correction2 = past_correction(step_inputs.bias_correction2, params.beta2, params.complement2);
  if (correction1 == 0.0 || correction2 == 0.0) { return; }
  let corrected = mean[i] / correction1;
  v[i] = abs(correction2 * (spread[i] + corrected * corrected));
#endif
  m[i] = mean[i];
}
