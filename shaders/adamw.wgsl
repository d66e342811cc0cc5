// AdamW (Loshchilov & Hutter, 2019) on one parameter, in place; epsilon after the bias correction, as in PyTorch:
//   g = clip.scale * gradient;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   parameter = parameter (1 - lr decay) - lr (m / correction1) / (sqrt(v / correction2) + eps)
// An element whose gradient is not finite is left alone, and all are when clip.skip is set.
// One thread per element of VECTOR, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, beta1: f32, beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<storage, read> schedule: Schedule;
@group(0) @binding(1) var<storage, read> clip: Clip;
@group(0) @binding(2) var<storage, read> gradient: array<${VECTOR}>;
@group(0) @binding(3) var<storage, read_write> parameter: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> m: array<${VECTOR}>;
@group(0) @binding(5) var<storage, read_write> v: array<${VECTOR}>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
  let g = gradient[i] * clip.scale;
  if (clip.skip != 0u) { return; }
  let good = is_finite(gradient[i]);
  let mean = params.beta1 * m[i] + (1.0 - params.beta1) * g;
  let square = params.beta2 * v[i] + (1.0 - params.beta2) * g * g;
  m[i] = select(m[i], mean, good);
  v[i] = select(v[i], square, good);
  let decayed = parameter[i] * (1.0 - schedule.learning_rate * params.weight_decay);
  let denominator = sqrt(square / schedule.bias_correction2) + params.eps;
  let updated = decayed - schedule.learning_rate * (mean / schedule.bias_correction1) / denominator;
  parameter[i] = select(parameter[i], updated, good);
}
