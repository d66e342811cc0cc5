// The numbers of one optimizer step, written by the host before it. Same order as FIELDS in src/optim/step/schedule.ts.
struct Schedule {
  learning_rate: f32,
  // 1 / number of tokens that count in this step, over all micro-batches.
  loss_scale: f32,
  // Row of the metrics ring that this step writes.
  metrics_row: u32,
}
