// Numbers of an int8 tensor as f32: value = q * scale. Four q lie in a word, the first in the low byte, as two's
// complement. The scales, an f32 for each 64 numbers, come after them; here they are words like all others. For kernels
// that are specialised with INT8.
#if ${INT8}
fn unpack_int8(word: u32, scale: u32) -> vec4f {
  let q = (vec4i(bitcast<i32>(word)) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
  return vec4f(q) * bitcast<f32>(scale);
}

// Number i of a tensor, from the word i / 4.
fn unpack_one_int8(word: u32, i: u32, scale: u32) -> f32 {
  let q = (bitcast<i32>(word) << (24u - i % 4u * 8u)) >> 24u;
  return f32(q) * bitcast<f32>(scale);
}
#endif
