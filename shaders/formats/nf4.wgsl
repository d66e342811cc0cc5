// Numbers in nf4: value = NF4[code] * absmax (QLoRA, Dettmers et al., 2023). Eight codes lie in a word, the first in
// the low four bits. The absmax, an f32 for each 64 numbers, come after them; here they are words like all others.
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<u32>;

// The table is a private variable: with a constant array a whole product takes three times as long on llvmpipe, with
// fifteen selections instead of a table half as long again on SwiftShader.
var<private> nf4_of_${NAME}: array<f32, 16> = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
);
#if ${LOAD1}
fn load1_${NAME}(i: u32) -> f32 {
  let code = (${NAME}[i / 8u] >> (i % 8u * 4u)) & 15u;
  return nf4_of_${NAME}[code] * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 64u]);
}
#endif
#if ${LOAD2}
fn load2_${NAME}(i: u32) -> vec2f {
  let pair = ${NAME}[i / 4u] >> (i % 4u * 8u);
  let unpacked = vec2f(nf4_of_${NAME}[pair & 15u], nf4_of_${NAME}[(pair >> 4u) & 15u]);
  return unpacked * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 32u]);
}
#endif
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f {
  let packed_codes = ${NAME}[i / 2u] >> (i % 2u * 16u);
  let unpacked_values = vec4f(
    nf4_of_${NAME}[packed_codes & 15u],
    nf4_of_${NAME}[(packed_codes >> 4u) & 15u],
    nf4_of_${NAME}[(packed_codes >> 8u) & 15u],
    nf4_of_${NAME}[(packed_codes >> 12u) & 15u],
  );
  return unpacked_values * bitcast<f32>(${NAME}[params.${NAME}_scales + i / 16u]);
}
#endif
