// The result of global-norm clipping in this step, the same for every parameter.
struct Clip {
  // L2 norm of all gradients, before clipping.
  norm: f32,
  // Factor of each gradient.
  scale: f32,
  // 1 when the norm is not finite: then no parameter changes.
  skip: u32,
}
