// The new value of a VECTOR of weights: decoupled weight decay before or after the update.
fn decay_factor() -> f32 { return schedule.learning_rate * params.weight_decay; }

fn moved(weight: ${VECTOR}, change: ${VECTOR}) -> ${VECTOR} {
#if ${DECAY_AFTER}
  let updated = weight - change;
  return updated - decay_factor() * updated;
#else
  return weight * (1.0 - decay_factor()) - change;
#endif
}
