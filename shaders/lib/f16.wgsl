// Numbers of an f16 tensor as f32, exactly, whatever they are. Two lie in a word, the even one in the low half. They
// are made on the bits: unpack2x16float() may flush subnormals to 0, and need not keep infinities and NaN. For kernels
// that are specialised with F16.
#if ${F16}
// The exponent's bias is 15 instead of 127; infinities and NaN have the largest exponent of either. A subnormal counts
// 2^-24.
fn f16_value(half: u32) -> f32 {
  let magnitude = bitcast<i32>(half & 0x7fffu);
  let rebiased = (magnitude << 13u) + select(0x38000000, 0x70000000, magnitude >= 0x7c00);
  let subnormal = bitcast<i32>(f32(magnitude) * 0x1p-24f);
  return bitcast<f32>(bitcast<u32>(select(rebiased, subnormal, magnitude < 0x400)) | ((half & 0x8000u) << 16u));
}

fn unpack_f16(words: vec2u) -> vec4f {
  let low = words & vec2u(0xffffu);
  let high = words >> vec2u(16u);
  return vec4f(f16_value(low.x), f16_value(high.x), f16_value(low.y), f16_value(high.y));
}

// Number i of a tensor, from the word i / 2.
fn unpack_one_f16(word: u32, i: u32) -> f32 {
  return f16_value((word >> (i % 2u * 16u)) & 0xffffu);
}
#endif
