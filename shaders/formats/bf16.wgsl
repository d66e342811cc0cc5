// Numbers in bf16: the upper half of an f32, exactly. Two lie in a word, the even one in the low half.
#if ${FOURS}
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<vec2u>;
#else
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<u32>;
#endif
#if ${LOAD1}
fn load1_${NAME}(i: u32) -> f32 {
  let packed_word = ${NAME}[i / 2u];
  return bitcast<f32>(select(packed_word << 16u, packed_word & 0xffff0000u, i % 2u == 1u));
}
#endif
#if ${LOAD2}
fn load2_${NAME}(i: u32) -> vec2f {
  return vec2f(bitcast<f32>(${NAME}[i] << 16u), bitcast<f32>(${NAME}[i] & 0xffff0000u));
}
#endif
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f {
#if ${FOURS}
  let packed_words = ${NAME}[i];
#else
  let packed_words = vec2u(${NAME}[2u * i], ${NAME}[2u * i + 1u]);
#endif
  let low = packed_words << vec2u(16u);
  let high = packed_words & vec2u(0xffff0000u);
  return bitcast<vec4f>(vec4u(low.x, high.x, low.y, high.y));
}
#endif
#if ${STORE4}
// Rounds to nearest, ties to even, on the bits; a NaN stays one although its payload may lie in the lower half only.
fn store4_${NAME}(i: u32, new_value: vec4f) {
  let bits = bitcast<vec4u>(new_value);
  let rounded = (bits + vec4u(0x7fffu) + ((bits >> vec4u(16u)) & vec4u(1u))) >> vec4u(16u);
  let quiet = (bits >> vec4u(16u)) | vec4u(0x40u);
  let halves = select(rounded, quiet, (bits & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
  ${NAME}[i] = halves.xz | (halves.yw << vec2u(16u));
}
#endif
