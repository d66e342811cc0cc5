// False for NaN and both infinities. It tests the bits: compilers may assume that floats are finite and fold x != x
// away.
fn is_finite(x: ${VECTOR}) -> ${BOOLEAN} {
  return (bitcast<${BITS}>(x) & ${BITS}(0x7f800000u)) != ${BITS}(0x7f800000u);
}
