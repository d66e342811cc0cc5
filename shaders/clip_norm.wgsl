// clip = global gradient norm, the factor min(1, max_norm / (norm + 1e-6)) as in PyTorch's clip_grad_norm_ (1 when
// max_norm is 0), and whether to skip the step because the norm is not finite.
//   partial_sum: (n) sums of squares.
// One thread. Launch: 1 workgroup.

@compute @workgroup_size(1)
fn main() {
  var sum = 0.0;
  for (var i = 0u; i < params.n; i++) { sum += partial_sum[i]; }
  clip.norm = sqrt(sum);
  clip.skip = select(1u, 0u, is_finite(sum));
  clip.scale = select(1.0, min(1.0, params.max_norm / (sqrt(sum) + 1e-6)), params.max_norm > 0.0);
}
