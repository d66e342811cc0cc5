// One update of a parameter whose elements are each either state-full or state-free, in place and in one pass:
// state-full: parameter -= lr lr_scale step_factor scale direction(g) direction: the rule of RULE, see shaders/rules
// state-free: parameter -= lr lr_scale inactive_lr_scale free(g) free: sign(g), g, or 0 with g = clip.scale * gradient
// and decoupled weight decay for both. WHOLE: all elements are state-full, or if ACTIVE_SUBSET_ONLY, none where
// step_inputs.count is 0, and their state starts at step_inputs.first. PER_ROW, PER_COLUMN, PER_ELEMENT: see
// lib/selection.wgsl. Moments count as 0 when step_inputs.restart is set. A gradient that is not finite leaves its
// element alone, and so do all when clip.skip is set, but a restart then still empties the moments: it is set at one
// step only. n elements of VECTOR, each handled by a thread; with PER_COLUMN a thread handles one in each of ROWS rows,
// and LANES threads in succession handle the same columns, so that software adapters look up and go through what is
// selected of these once for many rows. Launch: ceil(n / ROWS / WORKGROUP) workgroups. PER_COLUMN: LANES * ROWS divides
// the number of rows.

struct Params {
  n: u32, columns: u32,
  beta1: f32, beta2: f32, eps: f32, weight_decay: f32, lr_scale: f32, inactive_lr_scale: f32, scale: f32,
  seed: u32, purpose: u32,
}

@group(0) @binding(0) var<storage, read> this_schedule: Schedule;
@group(0) @binding(1) var<storage, read> this_step_inputs: StepInputs;
@group(0) @binding(2) var<storage, read> this_clip: Clip;
@group(0) @binding(3) var<storage, read> gradient: array<${VECTOR}>;
@group(0) @binding(4) var<storage, read_write> parameter: array<${WEIGHT}>;
#if ${HAS_SELECTION}
@group(0) @binding(5) var<storage, read> selection: array<u32>;
#endif
#if ${HAS_A}
@group(0) @binding(${A_BINDING}) var<storage, read_write> a: array<${NUMBER}>;
#endif
#if ${HAS_B}
@group(0) @binding(${B_BINDING}) var<storage, read_write> b: array<${NUMBER}>;
#endif
@group(1) @binding(0) var<uniform> params: Params;

// Loaded before any thread may leave, llvmpipe loads them once for all lanes: a fifth less time for AdamW.
var<private> schedule: Schedule;
var<private> step_inputs: StepInputs;
var<private> clip: Clip;

#if ${HAS_A}
fn moments_at(slot: u32) -> Moments {
  let zero = ${NUMBER}(0.0);
#if ${HAS_B}
  return Moments(select(a[slot], zero, step_inputs.restart != 0u), select(b[slot], zero, step_inputs.restart != 0u));
#else
  return Moments(select(a[slot], zero, step_inputs.restart != 0u), zero);
#endif
}

fn update_state(slot: u32, g: ${NUMBER}, good: ${GOOD}) -> ${NUMBER} {
  let old = moments_at(slot);
  let step = rule_step(g, old);
  a[slot] = select(old.a, step.moments.a, good);
#if ${HAS_B}
  b[slot] = select(old.b, step.moments.b, good);
#endif
  return step.direction;
}
#endif

fn free(g: ${VECTOR}) -> ${VECTOR} {
#if ${FREE_SIGN}
  return sign(g);
#elif ${FREE_SGD}
  return g * clip.scale;
#else
  return ${VECTOR}(0.0);
#endif
}

fn is_good(raw: ${VECTOR}) -> ${BOOLEAN} { return select(${BOOLEAN}(false), is_finite(raw), clip.skip == 0u); }

fn free_change(raw: ${VECTOR}) -> ${VECTOR} {
  return schedule.learning_rate * params.lr_scale * params.inactive_lr_scale * free(raw);
}

#if ${HAS_A}
fn state_change(slot: u32, raw: ${NUMBER}, good: ${GOOD}) -> ${NUMBER} {
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
${COLUMNS}
#else
  let i = thread;
  let raw = gradient[i];
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
  var slot = here.slot;
${COMPONENTS}
#endif
  let weight = weight_at(i);
  put_weight(i, select(weight, moved(weight, change), good));
#endif
}
