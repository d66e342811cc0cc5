// 1 / (1 + e^-x). The clamp keeps exp finite: WGSL leaves overflow undefined.
fn sigmoid(x: Vector) -> Vector {
  return 1.0 / (1.0 + exp(-clamp(x, Vector(-80.0), Vector(80.0))));
}
