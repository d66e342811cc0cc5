// Per-parameter inputs of an optimizer step, written by the host before it.
struct StepInputs {
  // 1 - beta1^t, where t = 1, 2, … counts the steps of the moments themselves.
  bias_correction1: f32,
  // 1 - beta2^t.
  bias_correction2: f32,
  // Factor of the learning rate: that of Adam's Hugging Face form, else 1.
  step_factor: f32,
  // 1 at a step at which the moments restart: their old values count as 0.
  restart: u32,
  // Start of a parameter's state in a shared pool.
  first: u32,
  // Number of rows, columns or elements that are state-full; 0: none.
  count: u32,
  // The optimizer step at which the current subspace was drawn (0, T, 2T, …): random numbers are keyed by it.
  drawn: u32,
  // This optimizer step (0, 1, …).
  step: u32,
}
