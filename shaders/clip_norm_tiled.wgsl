// clip = global gradient norm, the factor min(1, max_norm / (norm + 1e-6)) as in PyTorch's clip_grad_norm_ (1 when
// max_norm is 0), and whether to skip the step because the norm is not finite: for GPUs with workgroup memory.
//   partial_sum: (n) sums of squares.
// One workgroup, whose threads stride; a tree adds up their sums in f32. Launch: 1 workgroup. Any n.

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  var own_sum = 0.0;
  for (var i = lane; i < params.n; i += ${WORKGROUP}u) { own_sum += partial_sum[i]; }
  let sum = workgroup_sum(lane, own_sum);
  if (lane == 0u) {
    clip.norm = sqrt(sum);
    clip.skip = select(1u, 0u, is_finite(sum));
    clip.scale = select(1.0, min(1.0, params.max_norm / (sqrt(sum) + 1e-6)), params.max_norm > 0.0);
  }
}
