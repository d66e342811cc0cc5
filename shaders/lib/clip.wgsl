// What global-norm clipping decided for this step; the same for every parameter.
struct Clip {
  // L2 norm of all gradients, before clipping.
  norm: f32,
  // What each gradient is multiplied by.
  scale: f32,
  // 1 when the norm is not finite: then no parameter changes.
  skip: u32,
}
