// 1 / (1 + e^-x). The clamp keeps exp finite: WGSL leaves overflow undefined.
fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}
