// The numbers of one optimizer step, written by the host before it. Same order as SCHEDULE in src/optim/schedule.ts.
struct Schedule {
  learning_rate: f32,
  // 1 - beta1^t and 1 - beta2^t of Adam's step t = 1, 2, …
  bias_correction1: f32,
  bias_correction2: f32,
  // 1 / number of tokens that count in this step, over all micro-batches.
  loss_scale: f32,
  // Row of the metrics ring that this step writes.
  metrics_row: u32,
}
