// parameter -= lr lr_scale step_factor delta, with decoupled weight decay: the last step of updates that are computed
// in several. A delta that is not finite leaves its element alone, and all are left alone when clip.skip is set. One
// thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, weight_decay: f32, lr_scale: f32, seed: u32, purpose: u32 }

@group(0) @binding(0) var<storage, read> schedule: Schedule;
@group(0) @binding(1) var<storage, read> step_inputs: StepInputs;
@group(0) @binding(2) var<storage, read> clip: Clip;
@group(0) @binding(3) var<storage, read> delta: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> parameter: array<${WEIGHT}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n || clip.skip != 0u) { return; }
  let change = schedule.learning_rate * params.lr_scale * step_inputs.step_factor * delta[i];
  let weight = weight_at(i);
  put_weight(i, select(weight, moved(weight, change), is_finite(delta[i])));
}
