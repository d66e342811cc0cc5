// One turn of the 8-bit rule: four neighbours of x, from element `first` on, with old moments from one word of each.
fn four_at(first: u32, limit: u32) -> vec4f {
  var four = vec4f(0.0);
  if (first < limit) { four.x = x[first]; }
  if (first + 1u < limit) { four.y = x[first + 1u]; }
  if (first + 2u < limit) { four.z = x[first + 2u]; }
  if (first + 3u < limit) { four.w = x[first + 3u]; }
  return four;
}

fn put(i: u32, limit: u32, raw: f32, direction_i: f32) {
  if (i >= limit) { return; }
#if ${HAS_DIRECTION}
  x[i] = -params.x_scale * raw;
  direction[i] = direction_i;
#else
  x[i] = direction_i;
#endif
}

fn put_four(first: u32, limit: u32, raw: vec4f, four: vec4f) {
  put(first, limit, raw.x, four.x);
  put(first + 1u, limit, raw.y, four.y);
  put(first + 2u, limit, raw.z, four.z);
  put(first + 3u, limit, raw.w, four.w);
}

fn old_moments(word: u32, largest_a: f32, largest_b: f32) -> Moments {
  if (step_inputs.restart != 0u) { return Moments(vec4f(0.0), vec4f(0.0)); }
  var old = Moments(dequantize(a[word], largest_a, 0u), vec4f(0.0));
#if ${HAS_B}
  old.b = dequantize(b[word], largest_b, 256u);
#endif
  return old;
}

// The rule, except for elements whose gradient is not finite, and all when clip.skip is set: those keep their moments
// and pass their gradient on.
fn guarded_step(raw: vec4f, old: Moments) -> RuleStep {
  let good = select(vec4<bool>(false), is_finite(raw), clip.skip == 0u);
  let step = rule_step(raw * clip.scale, old);
  let moments = Moments(select(old.a, step.moments.a, good), select(old.b, step.moments.b, good));
  return RuleStep(select(raw, params.scale * step.direction, good), moments);
}
