// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), and its slope. (1 + tanh(u)) / 2 is s = 1 / (1 + e)
// with e = exp(-2 u), which needs no tanh: that of WGSL may overflow. 1 - s is e s, without cancellation.
const TWO_ROOTS = 1.5957691216; // 2 sqrt(2 / pi)

// x within limits: beyond them s is 0 or 1; within them e is at most 1e33, and no power overflows.
fn clamped(x: Vector) -> Vector {
  return clamp(x, Vector(-9.5), Vector(9.5));
}

fn exponential(z: Vector) -> Vector {
  return exp(-TWO_ROOTS * fma(0.044715 * z * z, z, z));
}

fn gelu(x: Vector) -> Vector {
  return x / (1.0 + exponential(clamped(x)));
}

fn gelu_slope(x: Vector) -> Vector {
  let z = clamped(x);
  let e = exponential(z);
  let s = 1.0 / (1.0 + e);
  return s + z * s * (e * s) * TWO_ROOTS * fma(0.134145 * z, z, Vector(1.0));
}
