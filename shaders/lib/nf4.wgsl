// Numbers of an nf4 tensor as f32: value = NF4[code] * absmax (QLoRA, Dettmers et al., 2023). Eight codes lie in a
// word, the first in the low four bits. The absmax, an f32 for each 64 numbers, come after them; here they are words
// like all others. For kernels that are specialised with NF4.
#if ${NF4}
// The table is a private variable: with a constant array a whole product takes three times as long on llvmpipe, with
// fifteen selections instead of a table half as long again on SwiftShader.
var<private> nf4_table: array<f32, 16> = array<f32, 16>(
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
  -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
  0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
);

fn nf4_value(code: u32) -> f32 { return nf4_table[code & 15u]; }

// Four numbers, the first of them in the low bits of `codes`.
fn unpack_nf4(codes: u32, absmax: u32) -> vec4f {
  let values = vec4f(nf4_value(codes), nf4_value(codes >> 4u), nf4_value(codes >> 8u), nf4_value(codes >> 12u));
  return values * bitcast<f32>(absmax);
}

// Number i of a tensor, from the word i / 8.
fn unpack_one_nf4(word: u32, i: u32, absmax: u32) -> f32 {
  return nf4_value(word >> (i % 8u * 4u)) * bitcast<f32>(absmax);
}
#endif
