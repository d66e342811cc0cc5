// x Phi(x), with Phi the cumulative normal distribution (1 + erf(x / sqrt 2)) / 2, and its slope Phi(x) + x phi(x).
// Below |x| = 1 Phi is 1/2 + x times a polynomial in x^2; beyond, the tail e^(-x^2 / 2) times a polynomial in 1 / (1 +
// 0.4 |x|). Both are minimax fits, off by 1.4e-8 at most before rounding; the tail keeps its relative accuracy of 1e-7.

// e^(-x^2 / 2). The clamp keeps the square finite: beyond it the result is less than 1e-42 anyway.
fn normal_bell(x: Vector) -> Vector {
  let z = min(abs(x), Vector(14.0));
  return exp(-0.5 * z * z);
}

fn cumulative_normal(x: Vector, bell: Vector) -> Vector {
  let square = x * x;
  var center = Vector(9.4235242e-5);
  center = fma(center, square, Vector(-0.0011693537));
  center = fma(center, square, Vector(0.0099671967));
  center = fma(center, square, Vector(-0.066489585));
  center = fma(center, square, Vector(0.39894226));
  let t = 1.0 / fma(abs(x), Vector(0.4), Vector(1.0));
  var tail = Vector(0.068121381);
  tail = fma(tail, t, Vector(-0.18642803));
  tail = fma(tail, t, Vector(0.1053632));
  tail = fma(tail, t, Vector(0.055540539));
  tail = fma(tail, t, Vector(0.13900231));
  tail = fma(tail, t, Vector(0.1591));
  tail = fma(tail, t, Vector(0.15959579));
  tail *= t * bell;
  let outside = select(1.0 - tail, tail, x < Vector(0.0));
  return select(outside, fma(x, center, Vector(0.5)), abs(x) < Vector(1.0));
}

fn gelu(x: Vector) -> Vector {
  return x * cumulative_normal(x, normal_bell(x));
}

fn gelu_slope(x: Vector) -> Vector {
  let bell = normal_bell(x);
  return fma(x, 0.3989422804 * bell, cumulative_normal(x, bell));
}
