// Sum of the numbers in a VECTOR.
fn sum_of(x: ${VECTOR}) -> f32 {
#if ${IS_VECTOR}
  return (x.x + x.y) + (x.z + x.w);
#else
  return x;
#endif
}

// The greatest number in a VECTOR.
fn max_of(x: ${VECTOR}) -> f32 {
#if ${IS_VECTOR}
  return max(max(x.x, x.y), max(x.z, x.w));
#else
  return x;
#endif
}
