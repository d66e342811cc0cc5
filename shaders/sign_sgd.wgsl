// signSGD (Bernstein et al., 2018) on one parameter, in place, decoupled weight decay; sign(0) = 0:
//   parameter = parameter (1 - lr decay) - lr sign(gradient)
// An element whose gradient is not finite is left alone, and all are when clip.skip is set.
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, weight_decay: f32 }

@group(0) @binding(0) var<storage, read> schedule: Schedule;
@group(0) @binding(1) var<storage, read> clip: Clip;
@group(0) @binding(2) var<storage, read> gradient: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> parameter: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let g = gradient[i];
  if (clip.skip != 0u) { return; }
  let decayed = parameter[i] * (1.0 - schedule.learning_rate * params.weight_decay);
  parameter[i] = select(parameter[i], decayed - schedule.learning_rate * sign(g), is_finite(g));
}
