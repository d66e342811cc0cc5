// Sum of the numbers in a Vector.
fn sum_of(x: Vector) -> f32 {
#if ${IS_VECTOR}
  return (x.x + x.y) + (x.z + x.w);
#else
  return x;
#endif
}

// The greatest number in a Vector.
fn max_of(x: Vector) -> f32 {
#if ${IS_VECTOR}
  return max(max(x.x, x.y), max(x.z, x.w));
#else
  return x;
#endif
}

// Sum of the numbers in a Vector, as a product of attention adds up its lanes.
fn lanes_of(x: Vector) -> f32 {
#if ${IS_VECTOR}
  return dot(x, vec4f(1.0));
#else
  return x;
#endif
}
