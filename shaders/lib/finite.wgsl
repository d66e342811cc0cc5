// False for NaN and both infinities. On the bits: compilers may assume that floats are finite and fold x != x away.
fn is_finite(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
