// Numbers of a bf16 tensor as f32, exactly: a bf16 is the upper half of an f32. Two lie in a word, the even one in the
// low half. For kernels that are specialised with BF16.
#if ${BF16}
fn unpack_bf16(words: vec2u) -> vec4f {
  let low = words << vec2u(16u);
  let high = words & vec2u(0xffff0000u);
  return bitcast<vec4f>(vec4u(low.x, high.x, low.y, high.y));
}

// Number i of a tensor, from the word i / 2.
fn unpack_one_bf16(word: u32, i: u32) -> f32 {
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}
#endif
