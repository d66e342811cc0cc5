// 1 / (1 + e^-x). The clamp keeps exp finite: WGSL leaves overflow undefined.
fn sigmoid(x: ${VECTOR}) -> ${VECTOR} {
  return 1.0 / (1.0 + exp(-clamp(x, ${VECTOR}(-80.0), ${VECTOR}(80.0))));
}
