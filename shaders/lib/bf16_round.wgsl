// Rounds f32 to bf16, its upper half, stochastically: a random part of a step is added before the lower half is cut
// off, so that x rounds up with the probability of its distance from the lower neighbour, and the mean is x (Gupta et
// al., "Deep learning with limited numerical precision", 2015). Updates below half a step are not lost then, but happen
// sometimes. Numbers that bf16 holds exactly never change; beyond the largest it may give infinity.

// A NaN stays one although its payload may lie in the lower half only.
fn quiet_nan(bits: u32) -> u32 {
  return (bits >> 16u) | 0x40u;
}

fn is_nan(bits: u32) -> bool {
  return (bits & 0x7fffffffu) > 0x7f800000u;
}

// One of the two bf16 around x, in the low half. Uses the low 16 bits of `random`.
fn stochastic_bf16(x: f32, random: u32) -> u32 {
  let bits = bitcast<u32>(x);
  return select((bits + (random & 0xffffu)) >> 16u, quiet_nan(bits), is_nan(bits));
}

// Two words of a bf16 tensor, rounded stochastically: number i takes half i of the random bits, in the order of the
// tensor.
fn pack_bf16(x: vec4f, random: vec2u) -> vec2u {
  return vec2u(
    stochastic_bf16(x.x, random.x) | (stochastic_bf16(x.y, random.x >> 16u) << 16u),
    stochastic_bf16(x.z, random.y) | (stochastic_bf16(x.w, random.y >> 16u) << 16u),
  );
}
