// The new value of a Vector of weights: decoupled weight decay before or after the update. Weights in bf16 are written
// with stochastic rounding: a function of (seed, purpose, step, index).
fn decay_factor() -> f32 { return schedule.learning_rate * params.weight_decay; }

fn moved(weight: Vector, change: Vector) -> Vector {
#if ${DECAY_AFTER}
  let updated = weight - change;
  return updated - decay_factor() * updated;
#else
  return weight * (1.0 - decay_factor()) - change;
#endif
}

fn put_weight(i: u32, weight: Vector) {
#if ${PARAMETER_PACKED}
  let random = philox(vec4u(i, 0u, step_inputs.step, 0u), vec2u(params.seed, params.purpose));
  parameter[i] = pack_bf16(weight, random.xy);
#else
  store_parameter(i, weight);
#endif
}
