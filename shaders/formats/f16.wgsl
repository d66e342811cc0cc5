// Numbers in f16, exactly, whatever they are. Two lie in a word, the even one in the low half. They are made on the
// bits: unpack2x16float() may flush subnormals to 0, and need not keep infinities and NaN.
#if ${FOURS}
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<vec2u>;
#else
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<u32>;
#endif

// The exponent's bias is 15 instead of 127; infinities and NaN have the largest exponent of either. A subnormal counts
// 2^-24.
fn f16_of_${NAME}(half: u32) -> f32 {
  let magnitude = bitcast<i32>(half & 0x7fffu);
  let rebiased = (magnitude << 13u) + select(0x38000000, 0x70000000, magnitude >= 0x7c00);
  let subnormal = bitcast<i32>(f32(magnitude) * 0x1p-24f);
  return bitcast<f32>(bitcast<u32>(select(rebiased, subnormal, magnitude < 0x400)) | ((half & 0x8000u) << 16u));
}
#if ${LOAD1}
fn load1_${NAME}(i: u32) -> f32 { return f16_of_${NAME}((${NAME}[i / 2u] >> (i % 2u * 16u)) & 0xffffu); }
#endif
#if ${LOAD2}
fn load2_${NAME}(i: u32) -> vec2f {
  return vec2f(f16_of_${NAME}(${NAME}[i] & 0xffffu), f16_of_${NAME}(${NAME}[i] >> 16u));
}
#endif
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f {
#if ${FOURS}
  let packed_words = ${NAME}[i];
#else
  let packed_words = vec2u(${NAME}[2u * i], ${NAME}[2u * i + 1u]);
#endif
  let low = packed_words & vec2u(0xffffu);
  let high = packed_words >> vec2u(16u);
  return vec4f(f16_of_${NAME}(low.x), f16_of_${NAME}(high.x), f16_of_${NAME}(low.y), f16_of_${NAME}(high.y));
}
#endif
