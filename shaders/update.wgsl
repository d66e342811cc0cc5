// One update of a parameter whose elements are each either state-full or state-free, in place and in one pass:
// state-full: parameter -= lr lr_scale step_factor scale direction(g) direction: the rule of RULE, see shaders/rules
// state-free: parameter -= lr lr_scale inactive_lr_scale free(g) free: sign(g), g, or 0 with g = clip.scale * gradient
// and decoupled weight decay for both. WHOLE: all elements are state-full, or if ACTIVE_SUBSET_ONLY, none where
// step_inputs.count is 0, and their state starts at step_inputs.first. PER_ROW, PER_COLUMN, PER_ELEMENT: see
// lib/selection.wgsl. Moments count as 0 when step_inputs.restart is set. A gradient that is not finite leaves its
// element alone, and so do all when clip.skip is set, but a restart then still empties the moments: it is set at one
// step only. n Vectors, each handled by a thread; with PER_COLUMN a thread handles one in each of ROWS rows,
// and LANES threads in succession handle the same columns, so that software adapters look up and go through what is
// selected of these once for many rows: they run every branch of an `if`, but a loop only as often as one of its lanes
// needs, once for each selected column if all have the same. Launch: ceil(n / ROWS / WORKGROUP) workgroups. PER_COLUMN:
// LANES * ROWS divides the number of rows.

// Loaded before any thread may leave, llvmpipe loads them once for all lanes: a fifth less time for AdamW.
var<private> schedule: Schedule;
var<private> step_inputs: StepInputs;
var<private> clip: Clip;

#if ${HAS_A}
fn moments_at(slot: u32) -> Moments {
  let zero = Number(0.0);
#if ${HAS_B}
  return Moments(select(a[slot], zero, step_inputs.restart != 0u), select(b[slot], zero, step_inputs.restart != 0u));
#else
  return Moments(select(a[slot], zero, step_inputs.restart != 0u), zero);
#endif
}

fn update_state(slot: u32, g: Number, good: Good) -> Number {
  let old = moments_at(slot);
  let step = rule_step(g, old);
  a[slot] = select(old.a, step.moments.a, good);
#if ${HAS_B}
  b[slot] = select(old.b, step.moments.b, good);
#endif
  return step.direction;
}
#endif

fn free(g: Vector) -> Vector {
#if ${FREE_SIGN}
  return sign(g);
#elif ${FREE_SGD}
  return g * clip.scale;
#else
  return Vector(0.0);
#endif
}

fn is_good(raw: Vector) -> Booleans { return select(Booleans(false), is_finite(raw), clip.skip == 0u); }

fn free_change(raw: Vector) -> Vector {
  return schedule.learning_rate * params.lr_scale * params.inactive_lr_scale * free(raw);
}

#if ${HAS_A}
fn state_change(slot: u32, raw: Number, good: Good) -> Number {
  let step_size = schedule.learning_rate * params.lr_scale * step_inputs.step_factor * params.scale;
  return step_size * update_state(slot, raw * clip.scale, good);
}
#endif

#if ${PER_COLUMN}
fn column_change(slot: u32, raw: f32) -> f32 {
  return state_change(slot, raw, (bitcast<u32>(raw) & 0x7f800000u) != 0x7f800000u && clip.skip == 0u);
}
#endif

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  schedule = this_schedule;
  step_inputs = this_step_inputs;
  clip = this_clip;
  let thread = thread_index(group, groups, lane);
  if (thread >= params.n / ${ROWS}u || (clip.skip != 0u && step_inputs.restart == 0u)) { return; }
#if ${PER_COLUMN}
  let across = params.columns / ${WIDTH}u;
  let place = thread / ${LANES}u;
  let band = place / across;
  let row = (band * ${LANES}u + thread % ${LANES}u) * ${ROWS}u;
  let column = place - band * across;
  let i = row * across + column;
  let here = selected_at(row, column * ${WIDTH}u, params.columns, step_inputs.count);
  var slot = here.slot;
#for r in ROWS
  let raw${r} = load_gradient(i + ${r}u * across);
  var change${r} = free_change(raw${r});
#end
#if ${IS_VECTOR}
  for (var rest = here.bits; rest != 0u; rest &= rest - 1u) {
    let c = firstTrailingBit(rest);
    let chosen = vec4u(0u, 1u, 2u, 3u) == vec4u(c);
#for r in ROWS
    change${r} = select(change${r}, vec4f(column_change(slot + ${r}u * step_inputs.count, raw${r}[c])), chosen);
#end
    slot += 1u;
  }
#else
  if (here.bits != 0u) {
#for r in ROWS
    change${r} = column_change(slot + ${r}u * step_inputs.count, raw${r});
#end
  }
#endif
#for r in ROWS
  let weight${r} = load_parameter(i + ${r}u * across);
  put_weight(i + ${r}u * across, select(weight${r}, moved(weight${r}, change${r}), is_good(raw${r})));
#end
#else
  let i = thread;
  let raw = load_gradient(i);
  let good = is_good(raw);
#if ${ACTIVE_SUBSET_ONLY}
  var change = free_change(raw);
#endif
#if ${WHOLE}
#if ${ACTIVE_SUBSET_ONLY}
#if ${HAS_A}
  if (step_inputs.count > 0u) { change = state_change(step_inputs.first / ${WIDTH}u + i, raw, good); }
#endif
#else
  let change = state_change(i, raw, good);
#endif
#elif ${PER_ROW}
  let here = selected(i, params.columns, step_inputs.count);
  if (here.bits != 0u) { change = state_change(here.slot / ${WIDTH}u, raw, good); }
#else
  let here = selected(i, params.columns, step_inputs.count);
#if ${IS_VECTOR}
  // The state of a thread's neighbours is not contiguous.
  var slot = here.slot;
#for c in 4
  if ((here.bits & (1u << ${c}u)) != 0u) {
    change[${c}] = state_change(slot, raw[${c}], good[${c}]);
    slot += 1u;
  }
#end
#else
  if (here.bits != 0u) { change = state_change(here.slot, raw, good); }
#endif
#endif
  let weight = load_parameter(i);
  put_weight(i, select(weight, moved(weight, change), good));
#endif
}
