// Numbers in int8: value = q * scale. Four q lie in a word, the first in the low byte, as two's complement. The scales,
// an f32 for each 64 numbers, come after them; here they are words like all others.
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<u32>;
#if ${LOAD1}
fn load1_${NAME}(i: u32) -> f32 {
  let q = (bitcast<i32>(${NAME}[i / 4u]) << (24u - i % 4u * 8u)) >> 24u;
  return f32(q) * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 64u]);
}
#endif
#if ${LOAD2}
fn load2_${NAME}(i: u32) -> vec2f {
  let pair = bitcast<i32>(${NAME}[i / 2u] >> (i % 2u * 16u));
  let q = vec2f(f32(extractBits(pair, 0u, 8u)), f32(extractBits(pair, 8u, 8u)));
  return q * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 32u]);
}
#endif
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f {
  let q = (vec4i(bitcast<i32>(${NAME}[i])) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
  return vec4f(q) * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 16u]);
}
#endif
