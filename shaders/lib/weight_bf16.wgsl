// Four bf16 weights at a time, written with stochastic rounding: a function of (seed, purpose, step, index).
fn weight_at(i: u32) -> vec4f { return unpack_bf16(parameter[i]); }

fn put_weight(i: u32, weight: vec4f) {
  let random = philox(vec4u(i, 0u, step_inputs.step, 0u), vec2u(params.seed, params.purpose));
  parameter[i] = pack_bf16(weight, random.xy);
}
