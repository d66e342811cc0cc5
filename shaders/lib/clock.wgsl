// Where an optimizer's state stands at a step, written by the host before it.
struct Clock {
  // 1 - beta1^t, where t = 1, 2, … counts the steps of the moments themselves.
  bias_correction1: f32,
  // 1 - beta2^t.
  bias_correction2: f32,
  // What Adam's Hugging Face form multiplies the learning rate by, else 1.
  step_factor: f32,
  // 1 at a step at which the moments begin anew: what they hold counts as 0.
  restart: u32,
  // Where a parameter's state starts in a shared pool.
  first: u32,
  // How many rows, columns or elements are state-full; 0: none.
  count: u32,
  // The optimizer step at which the current subspace was drawn (0, T, 2T, …): random numbers are keyed by it.
  drawn: u32,
  // This optimizer step (0, 1, …).
  step: u32,
}
