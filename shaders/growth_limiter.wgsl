// Fira's norm-growth limiter (Chen et al., 2024; APOLLO's too): the norm of the scaled residual may grow by 1 % a step.
// norm = clip.scale front sqrt(sum over j of ratio[j]^2 squares[j]); limit = max(norm / (previous + 1e-8), growth) /
// growth
// factor = clip.scale front back / limit; previous = norm / limit. The first norm is not limited, nor is one after a
// norm of 0.
// ratio: (n); squares: (layers, n) of the residual; previous: (1) the limited norm of the step before. One workgroup,
// whose threads stride; a tree adds up their sums. Launch: 1 workgroup. A norm that is not finite, or clip.skip, leaves
// `previous` alone; such a norm is the factor itself, so that nothing moves by it (max() may lose a NaN).

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  var own_sum = 0.0;
  for (var j = lane; j < params.n; j += ${WORKGROUP}u) {
    for (var layer = 0u; layer < params.layers; layer++) {
      own_sum = fma(ratio[j] * ratio[j], squares[layer * params.n + j], own_sum);
    }
  }
  let sum = workgroup_sum(lane, own_sum);
  if (lane == 0u) {
    let norm = clip.scale * params.front * sqrt(sum);
    // Before the first step `previous` holds whatever the buffer held.
    let before = select(previous[0], 0.0, step_inputs.step == 0u);
    let limit = select(max(norm / (before + 1e-8), params.growth) / params.growth, 1.0, before == 0.0);
    previous[0] = select(before, norm / limit, is_finite(norm) && clip.skip == 0u);
    factor[0] = select(norm, clip.scale * params.front * params.back / limit, is_finite(norm));
  }
}
