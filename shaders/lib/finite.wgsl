// False for NaN and both infinities. It tests the bits: compilers may assume that floats are finite and fold x != x
// away.
fn is_finite(x: Vector) -> Booleans {
  return (bitcast<Bits>(x) & Bits(0x7f800000u)) != Bits(0x7f800000u);
}
