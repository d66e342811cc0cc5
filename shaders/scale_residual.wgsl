// x[row, column] *= factor * ratio[row], or ratio[column] unless ROWS: the residual, scaled by its norms. In place.
// x: (n / columns, columns). factor is that of growth_limiter.wgsl if LIMITED, else params.factor /
// step_inputs.step_factor, because apply.wgsl multiplies by it. If ACTIVE_SUBSET_ONLY, only in steps where no element
// is state-full. One thread per element, n of them. Launch: ceil(n / WORKGROUP) workgroups.

struct Params { n: u32, columns: u32, factor: f32 }

@group(0) @binding(0) var<storage, read> step_inputs: StepInputs;
@group(0) @binding(1) var<storage, read> ratio: array<f32>;
#if ${LIMITED}
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = thread_index(group, groups, lane);
  if (i >= params.n) { return; }
#if ${ACTIVE_SUBSET_ONLY}
  if (step_inputs.count > 0u) { return; }
#endif
  let row = i / params.columns;
#if ${ROWS}
  let own = ratio[row];
#else
  let own = ratio[i - row * params.columns];
#endif
#if ${LIMITED}
  x[i] *= own * factor[0];
#else
  x[i] *= own * (params.factor / step_inputs.step_factor);
#endif
}
